// Goal: timers fire in the order of their deadlines, in the order of arming where those are equal,
// never early, and go without a trace when they are called off.
// Method: exact times on the simulated clock; on real back-ends only what must hold on any machine.

#include <asyncio/event_loop.h>

#include "support/run_test.h"
#include "support/tracked.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Duration;
using asyncio::TimePoint;
using asyncio::TimerHandle;
using asyncio::internal::never;
using support::LogCapture;
using support::TestLoop;
using support::Tracked;
using namespace std::chrono_literals;

void run_for(TestLoop& loop, Duration delay) {
    loop->call_later(delay, [&] { loop->stop(); });
    loop->run_forever();
}

TEST(timers, fire_in_the_order_of_their_deadlines) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    const TimePoint start = loop->time();
    loop->call_at(start + 3ms, [&] { trace += 'c'; });
    loop->call_at(start + 1ms, [&] { trace += 'a'; });
    loop->call_at(start + 2ms, [&] { trace += 'b'; });
    run_for(loop, 4ms);
    EXPECT_EQ(trace, "abc");
}

TEST(timers, fire_at_their_deadline_and_never_before) {
    const LogCapture log;
    TestLoop loop;
    const TimePoint start = loop->time();
    for (const Duration delay : {Duration(5ms), Duration(1ns), Duration(999us), Duration(2ms)}) {
        loop->call_later(delay, [&loop, start, delay] {
            EXPECT_GE(loop->time() - start, delay);
            if (loop.simulated()) {
                EXPECT_EQ(loop->time() - start, delay);
            }
        });
    }
    run_for(loop, 6ms);
}

TEST(timers, LOOP_04_overdue_ones_run_in_the_next_iteration_the_more_overdue_first) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_later(-1s, [&] { trace += 'b'; });
    loop->call_later(-2s, [&] { trace += 'a'; });
    loop.run_once();
    EXPECT_EQ(trace, "ab");
}

TEST(timers, one_that_is_due_now_runs_behind_what_is_ready) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_later(0s, [&] { trace += 'b'; });
    loop->call_soon([&] { trace += 'a'; });
    loop.run_once();
    EXPECT_EQ(trace, "ab");
}

TEST(timers, LOOP_05_twenty_with_one_deadline_fire_in_the_order_of_arming) {
    const LogCapture log;
    TestLoop loop;
    std::vector<int> order, expected;
    const TimePoint when = loop->time() + 1ms;
    for (int i = 0; i < 20; ++i) {
        loop->call_at(when, [&order, i] { order.push_back(i); });
        expected.push_back(i);
    }
    run_for(loop, 2ms);
    EXPECT_EQ(order, expected);
}

TEST(timers, LOOP_07_time_goes_on_within_a_callback) {
    const LogCapture log;
    TestLoop loop;
    if (loop.simulated()) GTEST_SKIP() << "virtual time stands still while the program runs";
    loop->call_soon([&] {
        const TimePoint before = loop->time();
        std::this_thread::sleep_for(5ms);
        EXPECT_GE(loop->time() - before, 5ms);
    });
    loop.run_once();
}

TEST(timers, LOOP_08_a_deadline_far_away_does_not_overflow_and_does_not_fire) {
    const LogCapture log;
    TestLoop loop;
    for (const Duration delay :
         {Duration(24h * 365 * 200), Duration::max(), Duration::max() - 1ns}) {
        loop->call_later(delay, [] { FAIL() << "too early"; });
    }
    loop->call_at(never, [] { FAIL() << "too early"; });
    bool other_fired = false;
    loop->call_later(1ms, [&] { other_fired = true; });
    run_for(loop, 2ms);
    EXPECT_TRUE(other_fired);
}

TEST(timers, the_distant_past_is_a_deadline_too) {
    const LogCapture log;
    TestLoop loop;
    int fired = 0;
    loop->call_later(Duration::min(), [&] { ++fired; });
    loop->call_at(TimePoint::min(), [&] { ++fired; });
    loop.run_once();
    EXPECT_EQ(fired, 2);
}

TEST(timers, LOOP_09_a_million_called_off_leave_nothing_to_wait_for) {
    const LogCapture log;
    TestLoop loop;
    for (int round = 0; round < 1000; ++round) {
        std::vector<TimerHandle> handles;
        for (int i = 0; i < 1000; ++i) {
            handles.push_back(loop->call_later(1h + 1ms * i, [tracked = Tracked()] {}));
        }
        for (TimerHandle& handle : handles) handle.cancel();
        ASSERT_EQ(Tracked::alive(), 0);
    }
    EXPECT_EQ(loop.run_until_idle(), never);
}

TEST(timers, LOOP_09_a_cancelled_first_timer_does_not_wake_the_loop) {
    const LogCapture log;
    TestLoop loop;
    TimerHandle early = loop->call_later(1ms, [] { FAIL(); });
    const TimerHandle late = loop->call_later(1h, [] {});
    early.cancel();
    EXPECT_EQ(loop.run_until_idle(), late.when());
}

TEST(timers, one_may_call_off_another_of_the_same_iteration) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    TimerHandle second;
    const TimePoint when = loop->time() + 1ms;
    loop->call_at(when, [&] {
        trace += 'a';
        second.cancel();
    });
    second = loop->call_at(when, [&] { trace += 'b'; });
    loop->call_at(when, [&] { trace += 'c'; });
    run_for(loop, 2ms);
    EXPECT_EQ(trace, "ac");
}

TEST(timers, one_armed_by_another_with_a_deadline_that_has_passed_runs_in_the_next_iteration) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_later(0s, [&] {
        trace += 'a';
        loop->call_later(-1s, [&] { trace += 'c'; });
    });
    loop->call_later(0s, [&] { trace += 'b'; });
    loop.run_once();
    EXPECT_EQ(trace, "ab");
    loop.run_once();
    EXPECT_EQ(trace, "abc");
}

TEST(timers, LOOP_24_when_tells_the_deadline_before_and_after_it_came) {
    const LogCapture log;
    TestLoop loop;
    const TimePoint when = loop->time() + 1ms;
    TimerHandle handle = loop->call_at(when, [] {});
    EXPECT_EQ(handle.when(), when);
    run_for(loop, 2ms);
    EXPECT_EQ(handle.when(), when);
    handle.cancel();
    EXPECT_EQ(handle.when(), when);
    EXPECT_FALSE(handle.cancelled()) << "it has fired";
}

TEST(timers, the_loop_waits_for_the_earliest) {
    const LogCapture log;
    TestLoop loop;
    EXPECT_EQ(loop.run_until_idle(), never);
    const TimerHandle late = loop->call_later(2h, [] {});
    EXPECT_EQ(loop.run_until_idle(), late.when());
    TimerHandle early = loop->call_later(1h, [] {});
    EXPECT_EQ(loop.run_until_idle(), early.when());
    early.cancel();
    EXPECT_EQ(loop.run_until_idle(), late.when());
}

TEST(timers, LOOP_10_what_finished_is_ready_before_what_was_due) {
    const LogCapture log;
    TestLoop loop;
    if (!loop.simulated()) GTEST_SKIP() << "needs an operation and a timer at one moment";
    int ends[2];
    asyncio::lowlevel::Operation open;
    open.kind = asyncio::lowlevel::OperationKind::pipe;
    open.buffer = ends;
    open.on_finished = [](asyncio::lowlevel::Operation&) noexcept {};
    if (loop->submit(open) == asyncio::lowlevel::Backend::Submitted::in_flight)
        loop.run_until_idle();

    static std::string trace;
    trace.clear();
    struct Note : asyncio::internal::Ready {};
    static Note note;
    static asyncio::EventLoop* running;
    running = &*loop;
    note.run = [](asyncio::internal::Ready&) noexcept { trace += 'o'; };
    char byte;
    asyncio::lowlevel::Operation read;
    read.kind = asyncio::lowlevel::OperationKind::read;
    read.fd = ends[0];
    read.buffer = &byte;
    read.size = 1;
    read.on_finished = [](asyncio::lowlevel::Operation&) noexcept { running->schedule(note); };
    ASSERT_EQ(loop->submit(read), asyncio::lowlevel::Backend::Submitted::in_flight);
    loop->call_later(0s, [] { trace += 't'; });
    loop->cancel(read);
    // The iteration in which both come to light.
    run_for(loop, 1ms);
    if (std::getenv("ASYNCIO_SEED") == nullptr) {
        EXPECT_EQ(trace, "ot");
    } else {
        EXPECT_EQ(trace.size(), 2u) << "a seed may put the operation off";
    }
}

}  // namespace
