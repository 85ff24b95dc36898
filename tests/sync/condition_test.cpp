// Goal: a wait on a condition returns and throws with the lock held, is woken in order, and loses
// no notification, however often and whenever it is cancelled.
// Method: tasks wait, note when they return, and hold the lock for a while.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Condition;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Lock;
using asyncio::sleep;
using support::run_test;
using support::Ticks;
using sync_help::run_for;
using sync_help::run_in_two_loops;
using sync_help::Trace;
using namespace std::chrono_literals;

/// Waits once, notes the return, and holds the lock for `turns` iterations more.
Coro<> wait_and_note(Condition& condition, Trace& trace, std::string name, int turns = 0) {
    auto held = co_await condition.acquire();
    std::optional<CancelledError> request;
    try {
        co_await condition.wait();
    } catch (const CancelledError& error) {
        request = error;
    }
    EXPECT_TRUE(condition.locked());
    trace.note(request ? name + "!" + request->message() : name);
    co_await run_for(turns);
    if (request) throw *request;
}

Coro<> notify(Condition& condition, std::size_t count) {
    auto held = co_await condition.acquire();
    condition.notify(count);
}

TEST(condition, needs_its_lock_to_be_held) {
    run_test([]() -> Coro<> {
        Condition condition;
        EXPECT_FALSE(condition.locked());
        EXPECT_THROW(co_await condition.wait(), asyncio::RuntimeError);
        EXPECT_THROW(co_await condition.wait_for([] { return false; }), asyncio::RuntimeError);
        EXPECT_THROW(condition.notify(), asyncio::RuntimeError);
        EXPECT_THROW(condition.notify_all(), asyncio::RuntimeError);
        auto held = co_await condition.acquire();
        EXPECT_TRUE(condition.locked());
        condition.notify();
        condition.notify_all();
        held.release();
        EXPECT_FALSE(condition.locked());
    });
}

TEST(condition, COND_02_notify_wakes_the_oldest_and_they_get_the_lock_in_order) {
    run_test([]() -> Coro<> {
        Condition condition;
        Ticks ticks;
        Trace trace(ticks);
        auto a = create_task(wait_and_note(condition, trace, "A", 1));
        auto b = create_task(wait_and_note(condition, trace, "B", 1));
        auto c = create_task(wait_and_note(condition, trace, "C", 1));
        auto d = create_task(wait_and_note(condition, trace, "D", 1));
        co_await sleep(0s);
        trace.start();
        co_await notify(condition, 2);
        co_await run_for(8);
        EXPECT_EQ(trace.text(), "1:A 3:B") << "B waits for the lock while A holds it";
        {
            auto held = co_await condition.acquire();
            condition.notify_all();
        }
        co_await asyncio::gather(a, b, c, d);
        EXPECT_EQ(trace.text(), "1:A 3:B 9:C 11:D");
    });
}

TEST(condition, COND_02_a_woken_waiter_does_not_return_before_the_notifier_releases) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        {
            auto held = co_await condition.acquire();
            condition.notify();
            co_await run_for(3);
            trace.note("released");
        }
        co_await a;
        EXPECT_EQ(trace.text(), "released A");
    });
}

TEST(condition, COND_03_a_cancelled_wait_holds_the_lock_when_it_throws) {
    run_test([]() -> Coro<> {
        Condition condition;
        Ticks ticks;
        Trace trace(ticks);
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        EXPECT_FALSE(condition.locked()) << "the wait has released it";
        trace.start();
        a.cancel("why");
        co_await run_for(2);
        EXPECT_EQ(trace.text(), "1:A!why");
        EXPECT_TRUE(a.cancelled());
        EXPECT_FALSE(condition.locked());
    });
}

TEST(condition, COND_03_a_wait_cancelled_after_its_notification_holds_the_lock_too) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        co_await notify(condition, 1);
        a.cancel("why");
        co_await run_for(2);
        EXPECT_EQ(trace.text(), "A!why");
        EXPECT_TRUE(a.cancelled());
        EXPECT_FALSE(condition.locked());
    });
}

TEST(condition, COND_04_cancelled_again_and_again_it_still_waits_for_the_lock) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        auto held = co_await condition.acquire();
        a.cancel("first");
        for (int i = 0; i < 5; ++i) {
            co_await run_for(i);
            EXPECT_FALSE(a.done());
            a.cancel("again");
        }
        co_await run_for(3);
        EXPECT_EQ(trace.text(), "");
        held.release();
        co_await run_for(2);
        EXPECT_EQ(trace.text(), "A!again");
        EXPECT_TRUE(a.cancelled());
    });
}

TEST(condition, COND_04_a_notified_waiter_cancelled_at_a_contested_lock_gets_it_first) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        auto held = co_await condition.acquire();
        condition.notify();
        co_await run_for(2);
        a.cancel("late");
        co_await run_for(2);
        EXPECT_EQ(trace.text(), "");
        held.release();
        a.cancel("woken");
        co_await run_for(3);
        EXPECT_EQ(trace.text(), "A!woken");
        EXPECT_TRUE(a.cancelled());
        EXPECT_FALSE(condition.locked());
    });
}

TEST(condition, COND_05_what_is_thrown_is_the_request_that_was_made) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        auto held = co_await condition.acquire();
        a.cancel("the reason");
        co_await run_for(4);
        held.release();
        std::string message;
        try {
            co_await a;
        } catch (const CancelledError& error) {
            message = error.message();
        }
        EXPECT_EQ(message, "the reason");
        EXPECT_EQ(a.cancelling(), 1u) << "delivered once, counted once";
    });
}

TEST(condition, COND_06_the_notification_of_a_waiter_cancelled_before_its_turn_goes_to_the_next) {
    run_test([]() -> Coro<> {
        Condition condition;
        Ticks ticks;
        Trace trace(ticks);
        auto a = create_task(wait_and_note(condition, trace, "A"));
        auto b = create_task(wait_and_note(condition, trace, "B"));
        auto c = create_task(wait_and_note(condition, trace, "C"));
        co_await sleep(0s);
        trace.start();
        co_await notify(condition, 1);
        a.cancel();
        co_await run_for(4);
        EXPECT_EQ(trace.text(), "1:A! 2:B");
        EXPECT_FALSE(c.done());
        co_await notify(condition, 1);
        co_await asyncio::gather(b, c);
    });
}

TEST(condition, COND_07_so_does_that_of_one_cancelled_while_it_waits_for_the_lock) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        auto b = create_task(wait_and_note(condition, trace, "B"));
        co_await sleep(0s);
        {
            auto held = co_await condition.acquire();
            condition.notify();
            co_await run_for(2);
            a.cancel();
            co_await run_for(2);
        }
        co_await b;
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(trace.text(), "A! B");
    });
}

TEST(condition, COND_08_wait_for_looks_until_the_predicate_holds_and_returns_its_value) {
    run_test([]() -> Coro<> {
        Condition condition;
        int value = 0;
        int looks = 0;
        const auto wait = [&]() -> Coro<int> {
            auto held = co_await condition.acquire();
            co_return co_await condition.wait_for([&] {
                EXPECT_TRUE(condition.locked());
                ++looks;
                return value >= 2 ? value : 0;
            });
        };
        auto waiter = create_task(wait());
        for (int i = 0; i < 3; ++i) {
            co_await run_for(2);
            EXPECT_FALSE(waiter.done());
            auto held = co_await condition.acquire();
            ++value;
            condition.notify();
            if (value == 2) break;
        }
        EXPECT_EQ(co_await waiter, 2);
        EXPECT_EQ(looks, 3);
        Ticks ticks;
        EXPECT_EQ(co_await wait(), 2);
        EXPECT_EQ(ticks.count(), 0) << "what holds already is not waited for";
    });
}

TEST(condition, COND_08_an_error_of_the_predicate_leaves_with_the_lock_held) {
    run_test([]() -> Coro<> {
        Condition condition;
        bool broken = false;
        const auto predicate = [&]() -> bool {
            if (broken) throw std::runtime_error("broken");
            return false;
        };
        const auto wait = [&]() -> Coro<> {
            auto held = co_await condition.acquire();
            EXPECT_THROW(co_await condition.wait_for(predicate), std::runtime_error);
            EXPECT_TRUE(condition.locked());
        };
        auto waiter = create_task(wait());
        co_await sleep(0s);
        broken = true;
        co_await notify(condition, 1);
        co_await waiter;
        EXPECT_FALSE(condition.locked());
    });
}

TEST(condition, COND_10_two_conditions_share_a_lock) {
    run_test([]() -> Coro<> {
        Lock lock;
        Condition full(lock);
        Condition empty(lock);
        Trace trace;
        auto a = create_task(wait_and_note(full, trace, "full"));
        auto b = create_task(wait_and_note(empty, trace, "empty"));
        co_await sleep(0s);
        EXPECT_FALSE(lock.locked());
        {
            auto held = co_await lock.acquire();
            EXPECT_TRUE(full.locked());
            empty.notify_all();
        }
        co_await b;
        EXPECT_FALSE(a.done());
        co_await notify(full, 1);
        co_await a;
        EXPECT_EQ(trace.text(), "empty full");
    });
}

TEST(condition, COND_10_a_lock_of_another_loop_is_refused_and_stays_held) {
    Lock lock;
    const auto contend = [&]() -> Coro<> {
        auto held = co_await lock.acquire();
        EXPECT_THROW(static_cast<void>(co_await asyncio::wait_for(lock.acquire(), 1ms)),
                     asyncio::TimeoutError);
    };
    run_in_two_loops(contend, [&]() -> Coro<> {
        Condition condition(lock);
        auto held = co_await condition.acquire();
        EXPECT_THROW(co_await condition.wait(), asyncio::RuntimeError);
        EXPECT_TRUE(lock.locked());
    });
}

TEST(condition, COND_10_a_condition_of_another_loop_is_refused) {
    Condition condition;
    const auto wait_in_vain = [&]() -> Coro<> {
        auto held = co_await condition.acquire();
        EXPECT_THROW(co_await asyncio::wait_for(condition.wait(), 1ms), asyncio::TimeoutError);
        EXPECT_TRUE(condition.locked());
    };
    run_in_two_loops(wait_in_vain, [&]() -> Coro<> {
        auto held = co_await condition.acquire();
        EXPECT_THROW(co_await condition.wait(), asyncio::RuntimeError);
        EXPECT_TRUE(condition.locked());
    });
}

TEST(condition, a_withdrawn_request_does_not_end_a_wait_that_was_notified) {
    run_test([]() -> Coro<> {
        Condition condition;
        Trace trace;
        auto a = create_task(wait_and_note(condition, trace, "A"));
        co_await sleep(0s);
        co_await notify(condition, 1);
        a.cancel();
        a.uncancel();
        co_await a;
        EXPECT_EQ(trace.text(), "A");
    });
}

}  // namespace
