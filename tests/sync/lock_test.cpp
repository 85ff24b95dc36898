// Goal: a lock has one owner at a time, goes to who has waited longest, and survives every meeting
// of a release with a cancellation, in CPython's order of iterations.
// Method: tasks note when they get it; `Ticks` counts the iterations.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Held;
using asyncio::Lock;
using asyncio::sleep;
using support::run_test;
using support::Ticks;
using sync_help::run_for;
using sync_help::run_in_two_loops;
using sync_help::Trace;
using namespace std::chrono_literals;

/// Acquires, notes it, and holds the lock for `turns` iterations.
Coro<> hold(Lock& lock, Trace& trace, std::string name, int turns = 0) {
    auto held = co_await lock.acquire();
    trace.note(name);
    co_await run_for(turns);
}

TEST(lock, an_uncontended_lock_costs_no_iteration) {
    run_test([]() -> Coro<> {
        Ticks ticks;
        Lock lock;
        EXPECT_FALSE(lock.locked());
        for (int i = 0; i < 3; ++i) {
            auto held = co_await lock.acquire();
            EXPECT_TRUE(lock.locked());
            EXPECT_TRUE(held);
        }
        EXPECT_FALSE(lock.locked()) << "the end of the scope releases";
        EXPECT_EQ(ticks.count(), 0);
    });
}

TEST(lock, LOCK_01_waiters_are_served_in_the_order_of_their_arrival) {
    run_test([]() -> Coro<> {
        Lock lock;
        Trace trace;
        auto held = co_await lock.acquire();
        auto a = create_task(hold(lock, trace, "A", 1));
        auto b = create_task(hold(lock, trace, "B", 1));
        auto c = create_task(hold(lock, trace, "C", 1));
        co_await sleep(0s);
        EXPECT_EQ(trace.text(), "");
        held.release();
        co_await asyncio::gather(a, b, c);
        EXPECT_EQ(trace.text(), "A B C");
    });
}

TEST(lock, LOCK_02_a_cancelled_waiter_is_gone_and_the_others_do_not_notice) {
    run_test([]() -> Coro<> {
        Lock lock;
        Trace trace;
        auto held = co_await lock.acquire();
        auto a = create_task(hold(lock, trace, "A"));
        auto b = create_task(hold(lock, trace, "B"));
        auto c = create_task(hold(lock, trace, "C"));
        co_await sleep(0s);
        b.cancel();
        co_await sleep(0s);
        EXPECT_TRUE(b.cancelled());
        held.release();
        co_await asyncio::gather(a, c);
        EXPECT_EQ(trace.text(), "A C");
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lock, LOCK_02_the_only_waiter_is_cancelled_and_a_newcomer_need_not_wait_for_it) {
    run_test([]() -> Coro<> {
        Lock lock;
        Trace trace;
        Ticks ticks;
        auto held = co_await lock.acquire();
        auto a = create_task(hold(lock, trace, "A"));
        co_await sleep(0s);
        a.cancel();
        held.release();
        const int before = ticks.count();
        {
            auto again = co_await lock.acquire();
        }
        EXPECT_EQ(ticks.count(), before) << "nobody waits any more";
        co_await sleep(0s);
        EXPECT_TRUE(a.cancelled());
    });
}

TEST(lock, LOCK_03_release_and_cancel_of_the_first_waiter_in_one_iteration_wake_the_second) {
    run_test([]() -> Coro<> {
        Lock lock;
        Ticks ticks;
        Trace trace(ticks);
        auto held = co_await lock.acquire();
        auto a = create_task(hold(lock, trace, "A"));
        auto b = create_task(hold(lock, trace, "B", 1));
        auto c = create_task(hold(lock, trace, "C"));
        co_await sleep(0s);
        trace.start();
        held.release();
        a.cancel();
        EXPECT_FALSE(lock.locked());
        co_await asyncio::gather(b, c);
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(trace.text(), "2:B 4:C") << "A runs first, throws, and wakes B";
    });
}

TEST(lock, LOCK_04_cancel_and_then_release_wake_the_second_waiter_when_the_first_has_run) {
    run_test([]() -> Coro<> {
        Lock lock;
        Ticks ticks;
        Trace trace(ticks);
        auto held = co_await lock.acquire();
        auto a = create_task(hold(lock, trace, "A"));
        auto b = create_task(hold(lock, trace, "B"));
        co_await sleep(0s);
        trace.start();
        a.cancel();
        held.release();
        co_await b;
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(trace.text(), "2:B");
    });
}

TEST(lock, LOCK_05_a_newcomer_queues_behind_a_waiter_that_is_being_woken) {
    run_test([]() -> Coro<> {
        Lock lock;
        Trace trace;
        auto held = co_await lock.acquire();
        auto a = create_task(hold(lock, trace, "A"));
        co_await sleep(0s);
        held.release();
        EXPECT_FALSE(lock.locked()) << "it is nobody's, and still not free";
        co_await hold(lock, trace, "newcomer");
        EXPECT_EQ(trace.text(), "A newcomer");
    });
}

TEST(lock, LOCK_06_releasing_what_is_not_held_is_an_error) {
    run_test([]() -> Coro<> {
        Lock lock;
        EXPECT_THROW(lock.release(), asyncio::RuntimeError);
        auto held = co_await lock.acquire();
        held.release();
        EXPECT_FALSE(held);
        EXPECT_THROW(held.release(), asyncio::RuntimeError);
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lock, what_is_held_can_be_handed_on) {
    run_test([]() -> Coro<> {
        Lock lock;
        Held<Lock> outer;
        EXPECT_FALSE(outer);
        {
            auto inner = co_await lock.acquire();
            outer = std::move(inner);
        }
        EXPECT_TRUE(lock.locked());
        outer = Held<Lock>();
        EXPECT_FALSE(lock.locked()) << "what was held before an assignment is released";
        (co_await lock.acquire()).keep();
        EXPECT_TRUE(lock.locked()) << "released by nobody but release()";
        lock.release();
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lock, LOCK_07_a_lock_that_was_waited_for_in_one_loop_refuses_to_be_in_another) {
    Lock lock;
    const auto contend = [&]() -> Coro<> {
        Trace trace;
        auto held = co_await lock.acquire();
        auto waiter = create_task(hold(lock, trace, "waiter"));
        co_await sleep(0s);
        held.release();
        co_await waiter;
    };
    run_in_two_loops(contend, [&]() -> Coro<> {
        {
            auto held = co_await lock.acquire();
        }  // does not wait, so nobody minds
        EXPECT_THROW(co_await contend(), asyncio::RuntimeError);
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lock, a_cancelled_scope_releases) {
    run_test([]() -> Coro<> {
        Lock lock;
        Trace trace;
        auto a = create_task(hold(lock, trace, "A", 1000));
        co_await sleep(0s);
        EXPECT_TRUE(lock.locked());
        a.cancel();
        co_await sleep(0s);
        EXPECT_TRUE(a.cancelled());
        EXPECT_FALSE(lock.locked());
    });
}

TEST(lock, a_limit_on_the_wait_expires_and_leaves_nothing) {
    run_test([]() -> Coro<> {
        Lock lock;
        auto held = co_await lock.acquire();
        EXPECT_THROW(static_cast<void>(co_await asyncio::wait_for(lock.acquire(), 1ms)),
                     asyncio::TimeoutError);
        held.release();
        auto again = co_await asyncio::wait_for(lock.acquire(), 1ms);
        EXPECT_TRUE(again);
    });
}

TEST(lock, a_wait_outside_a_task_is_refused) {
    // The last line of an await, without a task: only somebody's own coroutine type could get here.
    Lock lock;
    EXPECT_THROW(asyncio::get_running_loop(), asyncio::RuntimeError);
    EXPECT_TRUE(lock.acquire().operator co_await().await_ready()) << "needs neither loop nor task";
    EXPECT_TRUE(lock.locked());
}

}  // namespace
