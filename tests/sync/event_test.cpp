// Goal: setting an event wakes exactly those who wait, in order, one iteration later, whatever
// happens to the flag or to them meanwhile.
// Method: tasks note when they return from `wait`.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Event;
using asyncio::sleep;
using support::run_test;
using support::Ticks;
using sync_help::run_in_two_loops;
using sync_help::Trace;
using namespace std::chrono_literals;

Coro<> wait_and_note(Event& event, Trace& trace, std::string name) {
    co_await event.wait();
    trace.note(name);
}

TEST(event, a_set_event_costs_no_iteration) {
    run_test([]() -> Coro<> {
        Ticks ticks;
        Event event;
        EXPECT_FALSE(event.is_set());
        event.set();
        event.set();
        EXPECT_TRUE(event.is_set());
        co_await event.wait();
        EXPECT_EQ(ticks.count(), 0);
        event.clear();
        EXPECT_FALSE(event.is_set());
    });
}

TEST(event, LOCK_08_a_latecomer_after_set_runs_before_those_who_were_woken) {
    run_test([]() -> Coro<> {
        Event event;
        Trace trace;
        auto first = create_task(wait_and_note(event, trace, "1"));
        auto second = create_task(wait_and_note(event, trace, "2"));
        co_await sleep(0s);
        auto third = create_task(wait_and_note(event, trace, "3"));
        event.set();
        co_await asyncio::gather(first, second, third);
        EXPECT_EQ(trace.text(), "3 1 2") << "the newcomer was ready before the flag was set";
    });
}

TEST(event, LOCK_08_every_waiter_wakes_one_iteration_after_set) {
    run_test([]() -> Coro<> {
        Event event;
        Ticks ticks;
        Trace trace(ticks);
        auto first = create_task(wait_and_note(event, trace, "1"));
        auto second = create_task(wait_and_note(event, trace, "2"));
        co_await sleep(0s);
        trace.start();
        event.set();
        co_await wait_and_note(event, trace, "main");
        co_await asyncio::gather(first, second);
        EXPECT_EQ(trace.text(), "0:main 1:1 1:2");
    });
}

TEST(event, LOCK_09_set_and_clear_in_one_iteration_still_wake_those_who_waited) {
    run_test([]() -> Coro<> {
        Event event;
        Trace trace;
        auto first = create_task(wait_and_note(event, trace, "1"));
        auto second = create_task(wait_and_note(event, trace, "2"));
        co_await sleep(0s);
        event.set();
        event.clear();
        auto late = create_task(wait_and_note(event, trace, "late"));
        co_await asyncio::gather(first, second);
        EXPECT_EQ(trace.text(), "1 2");
        EXPECT_FALSE(late.done());
        event.set();
        co_await late;
    });
}

TEST(event, a_cancelled_waiter_is_gone_whether_before_or_after_it_was_woken) {
    run_test([]() -> Coro<> {
        Event event;
        Trace trace;
        auto before = create_task(wait_and_note(event, trace, "before"));
        auto after = create_task(wait_and_note(event, trace, "after"));
        auto other = create_task(wait_and_note(event, trace, "other"));
        co_await sleep(0s);
        before.cancel();
        event.set();
        after.cancel();
        co_await other;
        EXPECT_TRUE(before.cancelled());
        EXPECT_TRUE(after.cancelled());
        EXPECT_EQ(trace.text(), "other");
    });
}

TEST(event, a_limit_on_the_wait_expires) {
    run_test([]() -> Coro<> {
        Event event;
        EXPECT_THROW(co_await asyncio::wait_for(event.wait(), 1ms), asyncio::TimeoutError);
        asyncio::get_running_loop().call_later(1ms, [&] { event.set(); });
        co_await asyncio::wait_for(event.wait(), 1h);
    });
}

TEST(event, LOCK_07_an_event_that_was_waited_for_in_one_loop_refuses_to_be_in_another) {
    Event event;
    const auto wait_in_vain = [&]() -> Coro<> {
        EXPECT_THROW(co_await asyncio::wait_for(event.wait(), 1ms), asyncio::TimeoutError);
    };
    run_in_two_loops(wait_in_vain, [&]() -> Coro<> {
        EXPECT_THROW(co_await event.wait(), asyncio::RuntimeError);
        event.set();
        co_await event.wait();
    });
}

}  // namespace
