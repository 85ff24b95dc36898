// Goal: a TestLoop tells what is left, a capture of the log keeps and gives back the lines, and the
// probe sees the waits.
// Method: loops that are run step by step, with something left and with nothing left.

#include <asyncio/executor.h>
#include <asyncio/sleep.h>
#include <asyncio/testing/assertion_error.h>
#include <asyncio/testing/log_capture.h>
#include <asyncio/testing/test_loop.h>

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::testing::AssertionError;
using asyncio::testing::LogCapture;
using asyncio::testing::TestLoop;

constexpr asyncio::LoopOptions simulated{.backend = asyncio::lowlevel::BackendKind::simulated,
                                         .debug = false};

/// Makes the library log a line: an error that no code retrieves.
void lose_an_error(const char* text) {
    TestLoop loop(simulated);
    loop->run_until_complete([](const char* what) -> Coro<> {
        asyncio::create_task([](const char* inner) -> Coro<> {
            throw std::runtime_error(inner);
            co_return;
        }(what));
        co_await asyncio::sleep(1s);
    }(text));
}

bool contains(const std::vector<std::string>& lines, const std::string& part) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& line) { return line.find(part) != line.npos; });
}

TEST(TestLoop, runs_until_it_would_wait_and_says_until_when) {
    TestLoop loop(simulated);
    EXPECT_TRUE(loop.simulated());
    int steps = 0;
    const asyncio::TimePoint start = loop->time();
    auto count = [&] { loop->call_soon([&] { ++steps; }); };
    loop->call_soon(count);
    loop->call_later(5s, [&] { ++steps; });
    EXPECT_EQ(loop.run_until_idle(), start + 5s);
    EXPECT_EQ(steps, 1) << "what became ready has run, the timer has not fired";
    EXPECT_EQ(loop->time(), start);
}

TEST(TestLoop, an_idle_loop_waits_for_nothing) {
    TestLoop loop(simulated);
    EXPECT_EQ(loop.run_until_idle(), asyncio::TimePoint::max());
    EXPECT_NO_THROW(loop.check_idle());
}

TEST(TestLoop, what_is_left_is_an_error) {
    TestLoop loop(simulated);
    auto timer = loop->call_later(1s, [] {});
    EXPECT_THROW(loop.check_idle(), AssertionError);
    timer.cancel();
    EXPECT_NO_THROW(loop.check_idle());
    loop->create_task(asyncio::sleep(1s));
    EXPECT_THROW(loop.check_idle(), AssertionError);
}

TEST(TestLoop, the_probe_counts_waits_and_can_stand_in_for_them) {
    TestLoop loop(simulated);
    const int before = loop.probe().waits;
    loop->run_until_complete(asyncio::sleep(1s));
    EXPECT_GT(loop.probe().waits, before);

    asyncio::TimePoint asked;
    loop.probe().instead_of_waiting = [&](asyncio::TimePoint deadline) {
        asked = deadline;
        loop->stop();
    };
    loop->call_later(1s, [] {});
    loop->run_forever();
    EXPECT_EQ(asked, loop->time() + 1s);
    int wakes = 0;
    loop.probe().before_waking = [&] { ++wakes; };
    loop->call_soon_threadsafe([] {});
    EXPECT_EQ(wakes, 1);
}

TEST(RunTest, runs_on_the_back_end_of_the_environment_and_ends_the_default_executor) {
    const int result = asyncio::testing::run_test([]() -> Coro<int> {
        co_await asyncio::sleep(1ms);
        co_return co_await asyncio::to_thread([] { return 7; });
    });
    EXPECT_EQ(result, 7);
}

TEST(LogCapture, keeps_the_lines_until_they_are_taken) {
    LogCapture log;
    lose_an_error("first");
    EXPECT_TRUE(contains(log.take(), "first"));
    EXPECT_TRUE(log.take().empty());
    lose_an_error("second");
    try {
        log.check();
        FAIL() << "a line was not taken";
    } catch (const AssertionError& error) {
        EXPECT_TRUE(std::string(error.what()).find("second") != std::string::npos);
    }
    EXPECT_NO_THROW(log.check()) << "the lines count as taken";
}

TEST(LogCapture, the_innermost_capture_gets_the_lines) {
    LogCapture outer;
    {
        LogCapture inner;
        lose_an_error("inside");
        EXPECT_TRUE(contains(inner.take(), "inside"));
    }
    EXPECT_TRUE(outer.take().empty());
    lose_an_error("outside");
    EXPECT_TRUE(contains(outer.take(), "outside"));
}

TEST(LogCapture, lines_that_were_not_taken_go_to_standard_error) {
    ::testing::internal::CaptureStderr();
    {
        const LogCapture log;
        lose_an_error("not taken");
    }
    EXPECT_TRUE(::testing::internal::GetCapturedStderr().find("not taken") != std::string::npos);
}

TEST(LogCapture, drops_lines_below_its_level) {
    LogCapture log(asyncio::LogLevel::error);
    asyncio::EventLoop loop(simulated);
    loop.run_until_complete([]() -> Coro<> { co_return; }());
    static_cast<void>([]() -> Coro<> { co_return; }());  // never awaited: a warning
    EXPECT_TRUE(log.take().empty());
}

}  // namespace
