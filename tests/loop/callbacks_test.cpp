// Goal: callbacks run in the order, in the iteration and exactly as often as the rules of a tick
// say, and what they captured is released when it should be.
// Method: a loop per test, driven by `stop`; the trace of what ran is compared whole.

#include <asyncio/event_loop.h>

#include "support/run_test.h"
#include "support/tracked.h"

#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::EventLoop;
using asyncio::Handle;
using asyncio::RuntimeError;
using support::LogCapture;
using support::TestLoop;
using support::Tracked;
using namespace std::chrono_literals;

TEST(callbacks, LOOP_01_run_in_the_order_in_which_they_came) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    for (char name : {'a', 'b', 'c'}) loop->call_soon([&trace, name] { trace += name; });
    loop.run_once();
    EXPECT_EQ(trace, "abc");
}

TEST(callbacks, LOOP_02_one_that_is_added_by_a_callback_runs_in_the_next_iteration) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_soon([&] {
        trace += 'a';
        loop->call_soon([&] { trace += 'c'; });
    });
    loop->call_soon([&] { trace += 'b'; });
    loop.run_once();
    EXPECT_EQ(trace, "ab");
    loop.run_once();
    EXPECT_EQ(trace, "abc");
}

TEST(callbacks, LOOP_03_one_that_is_cancelled_does_not_run_and_releases_its_captures_at_once) {
    const LogCapture log;
    TestLoop loop;
    bool ran = false;
    Handle handle = loop->call_soon([&ran, tracked = Tracked(1)] { ran = true; });
    EXPECT_EQ(Tracked::alive(), 1);
    EXPECT_FALSE(handle.cancelled());
    handle.cancel();
    EXPECT_TRUE(handle.cancelled());
    EXPECT_EQ(Tracked::alive(), 0);
    handle.cancel();
    EXPECT_TRUE(handle.cancelled());
    loop.run_once();
    EXPECT_FALSE(ran);
}

TEST(callbacks, LOOP_03_one_may_cancel_another_of_the_same_iteration) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    Handle second;
    loop->call_soon([&] {
        trace += 'a';
        second.cancel();
    });
    second = loop->call_soon([&] { trace += 'b'; });
    loop->call_soon([&] { trace += 'c'; });
    loop.run_once();
    EXPECT_EQ(trace, "ac");
}

TEST(callbacks, cancelling_one_that_runs_or_has_run_has_no_effect) {
    const LogCapture log;
    TestLoop loop;
    int runs = 0;
    Handle handle;
    handle = loop->call_soon([&] {
        handle.cancel();
        ++runs;
    });
    loop.run_once();
    handle.cancel();
    EXPECT_EQ(runs, 1);
    EXPECT_FALSE(handle.cancelled());
}

TEST(callbacks, a_handle_can_be_dropped_copied_and_empty) {
    const LogCapture log;
    TestLoop loop;
    int runs = 0;
    loop->call_soon([&] { ++runs; });
    const Handle first = loop->call_soon([&] { ++runs; });
    Handle second = first;
    second.cancel();
    EXPECT_TRUE(first.cancelled());
    Handle empty;
    empty.cancel();
    EXPECT_FALSE(empty.cancelled());
    loop.run_once();
    EXPECT_EQ(runs, 1);
}

TEST(callbacks, captures_are_released_when_the_callback_has_run_though_the_handle_lives) {
    const LogCapture log;
    TestLoop loop;
    const Handle handle = loop->call_soon([tracked = Tracked(1)] {});
    EXPECT_EQ(Tracked::alive(), 1);
    loop.run_once();
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(callbacks, a_handle_may_outlive_its_loop) {
    const LogCapture log;
    Handle soon;
    asyncio::TimerHandle later;
    asyncio::TimerHandle never;
    {
        TestLoop loop;
        soon = loop->call_soon([] {});
        later = loop->call_later(1s, [] {});
        never = loop->call_later(asyncio::Duration::max(), [] {});
    }
    soon.cancel();
    later.cancel();
    never.cancel();
    EXPECT_TRUE(soon.cancelled());
    EXPECT_TRUE(never.cancelled());
}

TEST(callbacks, LOOP_17_an_error_is_reported_and_the_next_callback_runs) {
    const LogCapture log;
    TestLoop loop;
    bool next_ran = false;
    loop->call_soon([] { throw std::runtime_error("broken"); });
    loop->call_soon([&] { next_ran = true; });
    loop.run_once();
    EXPECT_TRUE(next_ran);
    const std::vector<std::string> lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(support::contains(lines[0], "broken")) << lines[0];
}

TEST(callbacks, whatever_one_throws_is_reported) {
    const LogCapture log;
    TestLoop loop;
    loop->call_soon([] { throw 42; });
    loop->call_soon([] { throw asyncio::CancelledError("why"); });
    loop.run_once();
    const std::vector<std::string> lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_TRUE(support::contains(lines[0], "int")) << lines[0];
    EXPECT_TRUE(support::contains(lines[1], "cancelled: why")) << lines[1];
}

// --- Stopping ----------------------------------------------------------------------------------

TEST(callbacks, LOOP_11_stop_lets_the_rest_of_the_iteration_run_and_keeps_what_was_added) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_soon([&] {
        trace += 'a';
        loop->stop();
        loop->call_soon([&] { trace += 'c'; });
    });
    loop->call_soon([&] { trace += 'b'; });
    loop->run_forever();
    EXPECT_EQ(trace, "ab");
    loop.run_once();
    EXPECT_EQ(trace, "abc");
}

TEST(callbacks, LOOP_12_stop_before_the_run_makes_it_one_iteration_that_does_not_wait) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_later(1h, [&] { trace += 'x'; });
    loop->call_soon([&] {
        trace += 'a';
        loop->call_soon([&] { trace += 'b'; });
    });
    loop->stop();
    loop->run_forever();
    EXPECT_EQ(trace, "a");
    loop->stop();
    loop->run_forever();
    EXPECT_EQ(trace, "ab");
}

// --- Closing -----------------------------------------------------------------------------------

TEST(callbacks, LOOP_15_a_closed_loop_refuses_everything_and_may_be_closed_again) {
    const LogCapture log;
    TestLoop loop;
    EXPECT_FALSE(loop->is_closed());
    loop->close();
    loop->close();
    EXPECT_TRUE(loop->is_closed());
    EXPECT_THROW(loop->call_soon([] {}), RuntimeError);
    EXPECT_THROW(loop->call_soon_threadsafe([] {}), RuntimeError);
    EXPECT_THROW(loop->call_later(1s, [] {}), RuntimeError);
    EXPECT_THROW(loop->call_at(loop->time(), [] {}), RuntimeError);
    EXPECT_THROW(loop->run_forever(), RuntimeError);
}

TEST(callbacks, LOOP_15_a_running_loop_cannot_be_closed) {
    const LogCapture log;
    TestLoop loop;
    bool refused = false;
    loop->call_soon([&] {
        try {
            loop->close();
        } catch (const RuntimeError&) {
            refused = true;
        }
    });
    loop.run_once();
    EXPECT_TRUE(refused);
    EXPECT_FALSE(loop->is_closed());
}

TEST(callbacks, closing_drops_what_is_scheduled_and_releases_it) {
    const LogCapture log;
    {
        TestLoop loop;
        bool ran = false;
        loop->call_soon([&ran, tracked = Tracked()] { ran = true; });
        loop->call_later(1s, [&ran, tracked = Tracked()] { ran = true; });
        loop->call_later(asyncio::Duration::max(), [&ran, tracked = Tracked()] { ran = true; });
        loop->call_soon_threadsafe([&ran, tracked = Tracked()] { ran = true; });
        EXPECT_EQ(Tracked::alive(), 4);
        loop->close();
        EXPECT_EQ(Tracked::alive(), 0);
        EXPECT_FALSE(ran);
    }
}

}  // namespace
