// Goal: a coroutine runs in a simulated world of a given seed; what is left afterwards is a
// failure; a seed that fails is named, and running this seed alone fails in the same way.
// Method: small coroutines, right ones and wrong ones, run by `simulate` and `simulate_seeds`.

#include <asyncio/event.h>
#include <asyncio/sleep.h>
#include <asyncio/streams.h>
#include <asyncio/testing/log_capture.h>
#include <asyncio/testing/simulate.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::testing::AssertionError;
using asyncio::testing::SeedError;
using asyncio::testing::simulate;
using asyncio::testing::simulate_seeds;

/// Sets ASYNCIO_SEED for a test, or removes it.
class SeedVariable {
public:
    explicit SeedVariable(const char* value) {
        if (const char* now = std::getenv(name)) before_ = now;
        set(value);
    }
    SeedVariable(const SeedVariable&) = delete;
    SeedVariable& operator=(const SeedVariable&) = delete;
    ~SeedVariable() { set(before_ ? before_->c_str() : nullptr); }

private:
    static constexpr const char* name = "ASYNCIO_SEED";

    static void set(const char* value) {
        if (value == nullptr) {
            ::unsetenv(name);
        } else {
            ::setenv(name, value, 1);
        }
    }

    std::optional<std::string> before_;
};

/// Wrong: relies on a single read for all bytes of a write. Some seeds deliver fewer.
Coro<> naive_read() {
    asyncio::Pipe pipe = co_await asyncio::open_pipe();
    co_await pipe.writer.send("hello");
    const std::string text = co_await pipe.reader.read(5);
    if (text != "hello") throw AssertionError("got \"" + text + "\"");
}

template <class Function>
std::string message_of(Function function) {
    try {
        function();
    } catch (const AssertionError& error) {
        return error.what();
    }
    return "no AssertionError";
}

TEST(Simulate, gives_the_value_of_the_body) {
    EXPECT_EQ(simulate([]() -> Coro<int> { co_return 7; }), 7);
    EXPECT_EQ(*simulate([]() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(8); }),
              8);
}

TEST(Simulate, time_is_virtual_and_exact) {
    const auto took = simulate([]() -> Coro<asyncio::Duration> {
        const asyncio::TimePoint start = asyncio::get_running_loop().time();
        co_await asyncio::sleep(24h);
        co_return asyncio::get_running_loop().time() - start;
    });
    EXPECT_EQ(took, 24h);
}

TEST(Simulate, passes_the_error_of_the_body_on) {
    EXPECT_THROW(simulate([]() -> Coro<> {
                     throw std::out_of_range("here");
                     co_return;
                 }),
                 std::out_of_range);
}

TEST(Simulate, a_body_that_can_never_go_on_is_a_deadlock) {
    EXPECT_THROW(simulate([]() -> Coro<> {
                     asyncio::Event never;
                     co_await never.wait();
                 }),
                 asyncio::DeadlockError);
}

TEST(Simulate, a_task_that_is_left_is_a_failure) {
    const std::string message = message_of([] {
        simulate([]() -> Coro<> {
            asyncio::create_task(asyncio::sleep(1h), {.name = "sleeper"});
            co_return;
        });
    });
    EXPECT_TRUE(message.find("these tasks are left") != message.npos) << message;
    EXPECT_TRUE(message.find("sleeper") != message.npos) << message;
}

TEST(Simulate, a_timer_that_is_left_is_a_failure) {
    const std::string message = message_of([] {
        simulate([]() -> Coro<> {
            asyncio::get_running_loop().call_later(1h, [] {});
            co_return;
        });
    });
    EXPECT_EQ(message, "a timer is left at the end of the test");
}

TEST(Simulate, a_warning_in_the_log_is_a_failure) {
    const std::string message = message_of([] {
        simulate([]() -> Coro<> {
            asyncio::create_task([]() -> Coro<> {
                throw std::runtime_error("lost");
                co_return;
            }());
            co_await asyncio::sleep(1s);
        });
    });
    EXPECT_TRUE(message.find("the library logged:") != message.npos) << message;
    EXPECT_TRUE(message.find("lost") != message.npos) << message;
}

TEST(Simulate, without_a_seed_the_environment_gives_it) {
    auto finds_the_fault = [] { return message_of([] { simulate(naive_read); }); };
    std::string failing;
    {
        const SeedVariable none(nullptr);
        ASSERT_EQ(finds_the_fault(), "no AssertionError") << "seed 0 is the plainest world";
        try {
            simulate_seeds(naive_read);
        } catch (const SeedError& error) {
            failing = std::to_string(error.seed());
        }
        ASSERT_FALSE(failing.empty());
    }
    const SeedVariable one(failing.c_str());
    EXPECT_NE(finds_the_fault(), "no AssertionError");
    EXPECT_NO_THROW(simulate(naive_read, {.seed = 0})) << "a given seed comes first";
}

TEST(SimulateSeeds, runs_every_seed_once_in_order) {
    const SeedVariable none(nullptr);
    std::vector<std::uint64_t> seeds;
    simulate_seeds(
        [&](std::uint64_t seed) -> Coro<> {
            seeds.push_back(seed);
            co_return;
        },
        {.first = 5, .count = 3});
    EXPECT_EQ(seeds, (std::vector<std::uint64_t>{5, 6, 7}));
    simulate_seeds(
        [](std::uint64_t) -> Coro<> {
            throw std::runtime_error("run");
            co_return;
        },
        {.count = 0});
}

TEST(SimulateSeeds, a_seed_in_the_environment_is_the_only_one) {
    const SeedVariable nine("9");
    std::vector<std::uint64_t> seeds;
    simulate_seeds([&](std::uint64_t seed) -> Coro<> {
        seeds.push_back(seed);
        co_return;
    });
    EXPECT_EQ(seeds, std::vector<std::uint64_t>{9});
}

TEST(SimulateSeeds, the_worlds_differ) {
    const SeedVariable none(nullptr);
    std::set<std::string> reads;
    simulate_seeds([&]() -> Coro<> {
        asyncio::Pipe pipe = co_await asyncio::open_pipe();
        co_await pipe.writer.send("hello");
        reads.insert(co_await pipe.reader.read(5));
    });
    EXPECT_GT(reads.size(), 2u);
}

TEST(SimulateSeeds, a_seed_that_fails_is_named_and_repeats_the_run) {
    std::uint64_t seed = 0;
    std::string message;
    {
        const SeedVariable none(nullptr);
        try {
            simulate_seeds(naive_read);
            FAIL() << "no seed has found the fault";
        } catch (const SeedError& error) {
            seed = error.seed();
            message = error.what();
            EXPECT_THROW(std::rethrow_exception(error.error()), AssertionError);
        }
    }
    const std::string number = std::to_string(seed);
    EXPECT_EQ(message.find("seed " + number + " fails: got \""), 0u) << message;
    EXPECT_TRUE(message.ends_with("\nto repeat this run, set ASYNCIO_SEED=" + number)) << message;

    const SeedVariable only(number.c_str());
    int runs = 0;
    const std::string again = message_of([&] {
        simulate_seeds([&] {
            ++runs;
            return naive_read();
        });
    });
    EXPECT_EQ(again, message);
    EXPECT_EQ(runs, 1);
}

TEST(SimulateSeeds, an_error_that_is_no_exception_class_of_the_standard_is_named_too) {
    const SeedVariable none(nullptr);
    const std::string message = message_of([] {
        simulate_seeds([]() -> Coro<> {
            throw 7;
            co_return;
        });
    });
    EXPECT_EQ(message.find("seed 0 fails: "), 0u) << message;
}

TEST(Seed, is_a_whole_number_or_refused) {
    using asyncio::testing::seed_is_given;
    using asyncio::testing::seed_or;
    {
        const SeedVariable none(nullptr);
        EXPECT_EQ(seed_or(3), 3u);
        EXPECT_FALSE(seed_is_given());
    }
    {
        const SeedVariable empty("");
        EXPECT_EQ(seed_or(3), 3u);
        EXPECT_FALSE(seed_is_given());
    }
    {
        const SeedVariable largest("18446744073709551615");
        EXPECT_EQ(seed_or(3), ~std::uint64_t{0});
        EXPECT_TRUE(seed_is_given());
    }
    for (const char* wrong : {"7a", "-1", "1.5", " 7", "18446744073709551616"}) {
        const SeedVariable variable(wrong);
        EXPECT_THROW(seed_or(3), std::invalid_argument) << wrong;
    }
}

}  // namespace
