// Goal: debug mode names a step or a callback that does not end, while it lasts.
// Method: the step blocks the loop until the log says so, however long that takes. The watcher
// looks by a signal; it is let in where the step means to be found.

#include <asyncio.h>

#include "loop/stall_help.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace stall_test;
using asyncio::Coro;

/// What has been logged so far about steps that go on.
std::vector<std::string> lasting_reports() {
    const std::lock_guard lock(logged_mutex);
    std::vector<std::string> found;
    std::ranges::copy_if(logged, std::back_inserter(found),
                         [](const std::string& line) { return !!says(line, "and still runs"); });
    return found;
}

/// Holds the loop until `reports` steps that go on have been reported, but for no more than a
/// minute.
[[gnu::noinline]] void hold_until_reported(std::size_t reports) {
    const SignalMask seen_here(SIG_UNBLOCK);
    const asyncio::TimePoint end = asyncio::Clock::now() + 60s;
    while (lasting_reports().size() < reports && asyncio::Clock::now() < end)
        std::this_thread::sleep_for(1ms);
}

TEST_F(Stall, a_step_that_does_not_end_is_reported_while_it_lasts) {
    std::vector<std::string> seen_meanwhile;
    run_watched([&]() -> Coro<> {
        asyncio::current_task().set_name("stuck");
        hold_until_reported(2);
        seen_meanwhile = lasting_reports();
        co_return;
    });
    ASSERT_GE(seen_meanwhile.size(), 2U) << all_reports();
    for (const std::string& report : seen_meanwhile) {
        EXPECT_TRUE(says(report, "the task stuck has blocked the loop for "));
        EXPECT_TRUE(says(report, "and still runs (limit 0.005 s); it is at "));
        EXPECT_TRUE(says(report, " in hold_until_reported ← "));
    }
}

TEST_F(Stall, a_callback_that_does_not_end_is_reported_while_it_lasts) {
    run_watched([&]() -> Coro<> {
        asyncio::get_running_loop().call_soon([] { hold_until_reported(1); });
        co_await asyncio::sleep(0s);
        co_await asyncio::sleep(0s);
    });
    ASSERT_FALSE(lasting_reports().empty()) << all_reports();
    EXPECT_TRUE(says(lasting_reports()[0], "a callback has blocked the loop for "));
}

TEST_F(Stall, a_lasting_step_of_a_thread_that_cannot_be_looked_at_is_reported_without_a_place) {
    run_watched([&]() -> Coro<> {
        const asyncio::TimePoint end = asyncio::Clock::now() + 60s;
        while (lasting_reports().empty() && asyncio::Clock::now() < end)
            std::this_thread::sleep_for(1ms);
        co_return;
    });
    ASSERT_FALSE(lasting_reports().empty()) << all_reports();
    EXPECT_TRUE(says(lasting_reports()[0], "a step has blocked the loop for "));
    EXPECT_FALSE(says(lasting_reports()[0], "it is at"));
}

}  // namespace
