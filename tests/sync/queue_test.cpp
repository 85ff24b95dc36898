// Goal: a queue gives items and turns in order, holds producers back, and loses neither an item nor
// a place, however puts, gets and cancellations meet.
// Method: producers and consumers as tasks; what each got is noted, `Ticks` counts the iterations.

#include <asyncio.h>

#include "support/tracked.h"
#include "sync/sync_help.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Queue;
using asyncio::QueueEmpty;
using asyncio::QueueFull;
using asyncio::sleep;
using asyncio::Task;
using support::MoveOnly;
using support::run_test;
using support::Ticks;
using support::Tracked;
using sync_help::run_for;
using sync_help::run_in_two_loops;
using sync_help::Trace;
using namespace std::chrono_literals;

Coro<> get_and_note(Queue<int>& queue, Trace& trace, std::string name) {
    const int item = co_await queue.get();
    trace.note(name + std::to_string(item));
}

Coro<> put_and_note(Queue<int>& queue, Trace& trace, int item) {
    co_await queue.put(item);
    trace.note("put" + std::to_string(item));
}

TEST(queue, what_need_not_wait_costs_no_iteration) {
    run_test([]() -> Coro<> {
        Ticks ticks;
        Queue<int> queue(2);
        co_await queue.put(1);
        EXPECT_FALSE(queue.full());
        co_await queue.put(2);
        EXPECT_TRUE(queue.full());
        EXPECT_EQ(queue.qsize(), 2u);
        EXPECT_EQ(co_await queue.get(), 1);
        EXPECT_EQ(co_await queue.get(), 2);
        EXPECT_TRUE(queue.empty());
        EXPECT_EQ(ticks.count(), 0);
    });
}

TEST(queue, QUE_01_items_and_waiting_getters_are_first_in_first_out) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Trace trace;
        auto a = create_task(get_and_note(queue, trace, "A"));
        auto b = create_task(get_and_note(queue, trace, "B"));
        auto c = create_task(get_and_note(queue, trace, "C"));
        co_await sleep(0s);
        for (int item = 1; item <= 3; ++item) queue.put_nowait(item);
        co_await asyncio::gather(a, b, c);
        EXPECT_EQ(trace.text(), "A1 B2 C3");
    });
}

TEST(queue, QUE_01_waiting_putters_are_first_in_first_out) {
    run_test([]() -> Coro<> {
        Queue<int> queue(1);
        Ticks ticks;
        Trace trace(ticks);
        queue.put_nowait(1);
        auto second = create_task(put_and_note(queue, trace, 2));
        auto third = create_task(put_and_note(queue, trace, 3));
        co_await sleep(0s);
        trace.start();
        for (int item = 1; item <= 3; ++item) EXPECT_EQ(co_await queue.get(), item);
        EXPECT_EQ(trace.text(), "1:put2 3:put3") << "a turn for the putter, a turn for the getter";
        co_await asyncio::gather(second, third);
    });
}

TEST(queue, a_getter_that_runs_may_take_an_item_before_the_one_who_was_woken_for_it) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Trace trace;
        auto waiter = create_task(get_and_note(queue, trace, "waiter"));
        co_await sleep(0s);
        queue.put_nowait(1);
        EXPECT_EQ(co_await queue.get(), 1);
        co_await run_for(2);
        EXPECT_EQ(trace.text(), "") << "it waits again";
        queue.put_nowait(2);
        co_await waiter;
        EXPECT_EQ(trace.text(), "waiter2");
    });
}

TEST(queue, an_overtaken_getter_goes_to_the_end_of_the_line) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Trace trace;
        auto a = create_task(get_and_note(queue, trace, "A"));
        auto b = create_task(get_and_note(queue, trace, "B"));
        co_await sleep(0s);
        queue.put_nowait(1);
        EXPECT_EQ(queue.get_nowait(), 1);
        co_await run_for(2);
        queue.put_nowait(2);
        queue.put_nowait(3);
        co_await asyncio::gather(a, b);
        EXPECT_EQ(trace.text(), "B2 A3");
    });
}

TEST(queue, an_overtaken_getter_can_still_be_cancelled) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Trace trace;
        auto a = create_task(get_and_note(queue, trace, "A"));
        co_await sleep(0s);
        queue.put_nowait(1);
        EXPECT_EQ(queue.get_nowait(), 1);
        co_await run_for(2);
        a.cancel("why");
        co_await sleep(0s);
        EXPECT_TRUE(a.cancelled());
        queue.put_nowait(2);
        EXPECT_EQ(queue.qsize(), 1u);
    });
}

TEST(queue, an_overtaken_putter_waits_again) {
    run_test([]() -> Coro<> {
        Queue<int> queue(1);
        Trace trace;
        queue.put_nowait(1);
        auto waiter = create_task(put_and_note(queue, trace, 2));
        co_await sleep(0s);
        EXPECT_EQ(queue.get_nowait(), 1);
        queue.put_nowait(3);
        co_await run_for(2);
        EXPECT_EQ(trace.text(), "");
        EXPECT_EQ(queue.get_nowait(), 3);
        co_await waiter;
        EXPECT_EQ(queue.get_nowait(), 2);
    });
}

TEST(queue, QUE_03_nowait_on_an_empty_or_full_queue_throws_and_its_twins_do_not) {
    Queue<int> queue(1);
    EXPECT_THROW(queue.get_nowait(), QueueEmpty);
    EXPECT_EQ(queue.try_get(), std::nullopt);
    queue.put_nowait(1);
    EXPECT_THROW(queue.put_nowait(2), QueueFull);
    EXPECT_FALSE(queue.try_put(2));
    EXPECT_EQ(queue.try_get(), 1);
    EXPECT_TRUE(queue.try_put(2));
    EXPECT_EQ(queue.get_nowait(), 2);
}

TEST(queue, QUE_03_what_did_not_fit_has_not_been_moved_from) {
    Queue<std::unique_ptr<int>> queue(1);
    queue.put_nowait(std::make_unique<int>(1));
    auto item = std::make_unique<int>(2);
    EXPECT_THROW(queue.put_nowait(std::move(item)), QueueFull);
    EXPECT_FALSE(queue.try_put(std::move(item)));
    ASSERT_NE(item, nullptr);
    EXPECT_EQ(*item, 2);
}

TEST(queue, QUE_04_the_item_of_a_getter_cancelled_after_its_wake_up_goes_to_the_next) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Ticks ticks;
        Trace trace(ticks);
        auto a = create_task(get_and_note(queue, trace, "A"));
        auto b = create_task(get_and_note(queue, trace, "B"));
        co_await sleep(0s);
        trace.start();
        queue.put_nowait(7);
        a.cancel();
        EXPECT_EQ(queue.qsize(), 1u);
        co_await b;
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(trace.text(), "2:B7");
    });
}

TEST(queue, QUE_04_many_readers_are_dropped_and_the_rest_get_everything) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Trace trace;
        auto a = create_task(get_and_note(queue, trace, "A"));
        auto b = create_task(get_and_note(queue, trace, "B"));
        auto c = create_task(get_and_note(queue, trace, "C"));
        co_await sleep(0s);
        queue.put_nowait(1);
        queue.put_nowait(2);
        a.cancel();
        co_await asyncio::gather(b, c);
        EXPECT_EQ(trace.text(), "B1 C2");
    });
}

TEST(queue, QUE_04_the_item_of_the_only_getter_stays_when_that_is_cancelled) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        Trace trace;
        auto a = create_task(get_and_note(queue, trace, "A"));
        co_await sleep(0s);
        queue.put_nowait(7);
        a.cancel();
        co_await sleep(0s);
        EXPECT_EQ(queue.get_nowait(), 7);
    });
}

TEST(queue, QUE_05_the_room_of_a_putter_cancelled_after_its_wake_up_goes_to_the_next) {
    run_test([]() -> Coro<> {
        Queue<int> queue(1);
        Ticks ticks;
        Trace trace(ticks);
        queue.put_nowait(1);
        auto two = create_task(put_and_note(queue, trace, 2));
        auto three = create_task(put_and_note(queue, trace, 3));
        co_await sleep(0s);
        trace.start();
        EXPECT_EQ(queue.get_nowait(), 1);
        two.cancel();
        co_await three;
        EXPECT_TRUE(two.cancelled());
        EXPECT_EQ(trace.text(), "2:put3");
        EXPECT_EQ(queue.get_nowait(), 3);
        EXPECT_TRUE(queue.empty());
    });
}

TEST(queue, QUE_06_cancelled_getters_and_putters_leave_nothing_behind) {
    run_test([]() -> Coro<> {
        Queue<int> queue(1);
        for (int round = 0; round < 5; ++round) {
            EXPECT_THROW(co_await asyncio::wait_for(queue.get(), 1ms), asyncio::TimeoutError);
        }
        co_await queue.put(1);
        for (int round = 0; round < 5; ++round) {
            EXPECT_THROW(co_await asyncio::wait_for(queue.put(2), 1ms), asyncio::TimeoutError);
        }
        Ticks ticks;
        EXPECT_EQ(co_await queue.get(), 1);
        co_await queue.put(3);
        EXPECT_EQ(ticks.count(), 0) << "nobody is in line";
        EXPECT_EQ(queue.qsize(), 1u);
        // That nobody is left in a list is what the destructor of the queue asserts.
    });
}

TEST(queue, QUE_07_the_item_of_a_cancelled_put_is_not_in_the_queue) {
    run_test([]() -> Coro<> {
        {
            Queue<Tracked> queue(1);
            queue.put_nowait(Tracked(1));
            const auto put = [&](int number) -> Coro<> { co_await queue.put(Tracked(number)); };
            auto parked = create_task(put(2));
            auto woken = create_task(put(3));
            co_await sleep(0s);
            parked.cancel();
            co_await sleep(0s);
            EXPECT_EQ(queue.get_nowait().number(), 1);
            woken.cancel();
            co_await sleep(0s);
            EXPECT_TRUE(parked.cancelled());
            EXPECT_TRUE(woken.cancelled());
            EXPECT_TRUE(queue.empty());
        }
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(queue, QUE_13_zero_or_less_is_without_limit_and_fractions_are_refused) {
    for (const int maxsize : {0, -1, -10}) {
        Queue<int> queue(maxsize);
        EXPECT_EQ(queue.maxsize(), maxsize);
        for (int item = 0; item < 1000; ++item) queue.put_nowait(item);
        EXPECT_FALSE(queue.full());
    }
    static_assert(!std::is_constructible_v<Queue<int>, double>);
    static_assert(std::is_default_constructible_v<Queue<int>>);
}

TEST(queue, QUE_14_an_item_that_meets_the_deadline_is_got_or_still_there) {
    run_test([]() -> Coro<> {
        for (int round = 0; round < 200; ++round) {
            Queue<int> queue;
            auto& loop = asyncio::get_running_loop();
            const auto put = [&] { queue.put_nowait(round); };
            // Before the limit is armed and after it: both orders within the iteration.
            const auto deadline = loop.time() + 1ms;
            if (round % 2 == 0) loop.call_at(deadline, put);
            const auto get = [&]() -> Coro<int> { co_return co_await queue.get(); };
            const auto get_in_time = [&]() -> Coro<int> {
                co_return co_await asyncio::timeout_at(deadline, get);
            };
            auto getter = create_task(get_in_time());
            co_await sleep(0s);
            if (round % 2 != 0) loop.call_at(deadline, put);
            co_await asyncio::gather_settled(getter);
            while (loop.time() <= deadline) co_await sleep(1ms);
            EXPECT_EQ(queue.qsize() + (getter.exception() == nullptr ? 1u : 0u), 1u);
        }
    });
}

TEST(queue, join_waits_for_every_task_done) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        co_await queue.join();
        for (int item = 0; item < 3; ++item) queue.put_nowait(item);
        const auto join = [&]() -> Coro<> { co_await queue.join(); };
        auto joined = create_task(join());
        for (int item = 0; item < 3; ++item) {
            co_await queue.get();
            co_await run_for(2);
            EXPECT_FALSE(joined.done());
            queue.task_done();
        }
        co_await joined;
        EXPECT_THROW(queue.task_done(), std::invalid_argument);
    });
}

TEST(queue, a_type_that_can_only_be_moved_goes_through) {
    run_test([]() -> Coro<> {
        Queue<MoveOnly> queue(1);
        const auto produce = [&]() -> Coro<> {
            for (int number = 0; number < 3; ++number) co_await queue.put(MoveOnly(number));
        };
        auto producer = create_task(produce());
        for (int number = 0; number < 3; ++number) {
            const MoveOnly item = co_await queue.get();
            EXPECT_EQ(item.number, number);
        }
        queue.put_nowait(MoveOnly(9));
        const MoveOnly last = co_await asyncio::wait_for(queue.get(), 1h);
        EXPECT_EQ(last.number, 9);
        co_await producer;
    });
}

TEST(queue, a_limit_on_get_and_put_returns_what_is_there) {
    run_test([]() -> Coro<> {
        Queue<std::string> queue(1);
        co_await asyncio::wait_for(queue.put("one"), 1ms);
        asyncio::get_running_loop().call_later(1ms, [&] { queue.put_nowait("two"); });
        std::string item = co_await asyncio::wait_for(queue.get(), 1h);
        EXPECT_EQ(item, "one");
        item = co_await asyncio::wait_for(queue.get(), 1h);
        EXPECT_EQ(item, "two");
    });
}

TEST(queue, several_producers_and_consumers_pass_everything_on_once) {
    run_test([]() -> Coro<> {
        Queue<int> queue(3);
        std::vector<int> seen(200);
        const auto produce = [&](int first) -> Coro<> {
            for (int item = first; item < 200; item += 4) co_await queue.put(item);
        };
        const auto consume = [&]() -> Coro<> {
            while (auto item = co_await queue.next()) {
                ++seen[static_cast<std::size_t>(*item)];
                queue.task_done();
            }
        };
        auto a = create_task(consume());
        auto b = create_task(consume());
        auto c = create_task(consume());
        co_await asyncio::gather(produce(0), produce(1), produce(2), produce(3));
        co_await queue.join();
        queue.shutdown();
        co_await asyncio::gather(a, b, c);
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 200);
    });
}

/// Compilers have gone wrong where a coroutine begins with a condition that awaits.
Coro<> take_all(Queue<std::string>& queue, std::string& all) {
    while (auto item = co_await queue.next()) all += *item;
}

TEST(queue, a_loop_over_next_may_be_the_first_statement_of_a_coroutine) {
    run_test([]() -> Coro<> {
        Queue<std::string> queue(1);
        std::string all;
        auto taker = create_task(take_all(queue, all));
        for (int i = 0; i < 3; ++i) co_await queue.put(std::string(40, static_cast<char>('a' + i)));
        queue.shutdown();
        co_await taker;
        EXPECT_EQ(all, std::string(40, 'a') + std::string(40, 'b') + std::string(40, 'c'));
    });
}

TEST(queue, LOCK_07_a_queue_that_was_waited_for_in_one_loop_refuses_to_be_in_another) {
    Queue<int> queue;
    run_in_two_loops(
        [&]() -> Coro<> {
            EXPECT_THROW(co_await asyncio::wait_for(queue.get(), 1ms), asyncio::TimeoutError);
        },
        [&]() -> Coro<> { EXPECT_THROW(co_await queue.get(), asyncio::RuntimeError); });
}

}  // namespace
