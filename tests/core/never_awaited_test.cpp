// Debug mode names the coroutine that was called and never awaited.

#include <asyncio.h>

#include "machine/call_stack.h"

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;

std::vector<std::string> warnings;

/// Reading debug information takes its time, which debug mode may remark upon as well.
void collect(asyncio::LogLevel, std::string_view line) noexcept {
    if (line.find("never awaited") != line.npos) warnings.emplace_back(line);
}

class NeverAwaited : public testing::Test {
protected:
    void SetUp() override {
        warnings.clear();
        asyncio::set_log_sink(&collect);
    }
    void TearDown() override { asyncio::set_log_sink(nullptr); }
};

constexpr auto line_of_forgotten = std::source_location::current().line() + 1;
Coro<int> forgotten(std::string text) { co_return int(text.size()); }

Coro<> forget() {
    {
        const Coro<int> dropped = forgotten("argument");
    }
    co_await asyncio::sleep(asyncio::Duration::zero());
}

TEST_F(NeverAwaited, debug_mode_names_the_coroutine_and_its_place) {
    asyncio::run(forget(), {.debug = true});
    ASSERT_EQ(warnings.size(), 1U);
    if (!asyncio::internal::knows_lines()) GTEST_SKIP() << "this build has no libbacktrace";
    EXPECT_NE(warnings[0].find(" in forgotten"), std::string::npos) << warnings[0];
    const std::string place = "never_awaited_test.cpp:" + std::to_string(line_of_forgotten);
    EXPECT_NE(warnings[0].find(place), std::string::npos) << warnings[0];
}

TEST_F(NeverAwaited, without_debug_mode_nothing_is_said) {
    asyncio::run(forget(), {.debug = false});
    EXPECT_TRUE(warnings.empty());
}

TEST_F(NeverAwaited, awaited_ones_are_not_named) {
    const auto awaits = []() -> Coro<> { EXPECT_EQ(co_await forgotten("four"), 4); };
    asyncio::run(awaits(), {.debug = true});
    EXPECT_TRUE(warnings.empty());
}

}  // namespace
