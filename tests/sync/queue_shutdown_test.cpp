// Goal: shutting a queue down lets nobody wait for ever, and what was in it be finished or dropped.
// Method: tasks wait in `get`, `put` and `join` while the queue is shut down.

#include <asyncio.h>

#include "sync/sync_help.h"

#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Queue;
using asyncio::QueueShutDown;
using asyncio::sleep;
using support::run_test;
using namespace std::chrono_literals;

Coro<int> get(Queue<int>& queue) { co_return co_await queue.get(); }
Coro<> put(Queue<int>& queue, int item) { co_await queue.put(item); }
Coro<> join(Queue<int>& queue) { co_await queue.join(); }

TEST(queue_shutdown, QUE_09_an_empty_queue_refuses_gets_and_puts_waiting_or_new) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        auto getter = create_task(get(queue));
        auto other = create_task(get(queue));
        co_await sleep(0s);
        queue.shutdown();
        EXPECT_THROW(co_await getter, QueueShutDown);
        EXPECT_THROW(co_await other, QueueShutDown);
        EXPECT_THROW(co_await queue.get(), QueueShutDown);
        EXPECT_THROW(queue.get_nowait(), QueueShutDown);
        EXPECT_EQ(queue.try_get(), std::nullopt);
        EXPECT_EQ(co_await queue.next(), std::nullopt);
        EXPECT_THROW(co_await queue.put(1), QueueShutDown);
        EXPECT_THROW(queue.put_nowait(1), QueueShutDown);
        EXPECT_THROW(queue.try_put(1), QueueShutDown);
        EXPECT_THROW(co_await asyncio::wait_for(queue.get(), 1h), QueueShutDown);
        co_await queue.join();
    });
}

TEST(queue_shutdown, QUE_09_waiting_putters_are_refused_too) {
    run_test([]() -> Coro<> {
        Queue<int> queue(1);
        queue.put_nowait(1);
        auto putter = create_task(put(queue, 2));
        co_await sleep(0s);
        queue.shutdown();
        EXPECT_THROW(co_await putter, QueueShutDown);
        EXPECT_EQ(queue.qsize(), 1u);
    });
}

TEST(queue_shutdown, QUE_09_a_putter_that_was_woken_by_a_get_is_refused_too) {
    run_test([]() -> Coro<> {
        Queue<int> queue(1);
        queue.put_nowait(1);
        auto putter = create_task(put(queue, 2));
        co_await sleep(0s);
        EXPECT_EQ(queue.get_nowait(), 1);
        queue.shutdown();
        EXPECT_THROW(co_await putter, QueueShutDown);
        EXPECT_TRUE(queue.empty());
    });
}

TEST(queue_shutdown, QUE_10_what_is_left_can_be_got_and_join_still_needs_task_done) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        queue.put_nowait(1);
        queue.put_nowait(2);
        auto joined = create_task(join(queue));
        co_await sleep(0s);
        queue.shutdown();
        queue.shutdown();
        EXPECT_THROW(queue.put_nowait(3), QueueShutDown);
        EXPECT_EQ(co_await queue.get(), 1);
        EXPECT_EQ(co_await queue.next(), 2);
        EXPECT_THROW(co_await queue.get(), QueueShutDown);
        queue.task_done();
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_FALSE(joined.done());
        queue.task_done();
        co_await joined;
    });
}

TEST(queue_shutdown, at_once_drops_what_is_left_and_releases_who_joins) {
    run_test([]() -> Coro<> {
        Queue<int> queue(2);
        queue.put_nowait(1);
        queue.put_nowait(2);
        auto joined = create_task(join(queue));
        auto putter = create_task(put(queue, 3));
        co_await sleep(0s);
        queue.shutdown({.immediate = true});
        EXPECT_TRUE(queue.empty());
        EXPECT_THROW(co_await putter, QueueShutDown);
        co_await joined;
        EXPECT_THROW(co_await queue.get(), QueueShutDown);
    });
}

TEST(queue_shutdown, at_once_does_not_release_who_joins_while_work_goes_on) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        queue.put_nowait(1);
        queue.put_nowait(2);
        co_await queue.get();
        auto joined = create_task(join(queue));
        co_await sleep(0s);
        queue.shutdown({.immediate = true});
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_FALSE(joined.done()) << "the item that was got is not done";
        queue.task_done();
        co_await joined;
        EXPECT_THROW(queue.task_done(), std::invalid_argument);
    });
}

TEST(queue_shutdown, at_once_with_more_items_than_work_leaves_no_work) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        queue.put_nowait(1);
        queue.put_nowait(2);
        queue.task_done();  // before its item was got
        queue.shutdown({.immediate = true});
        co_await queue.join();
        EXPECT_THROW(queue.task_done(), std::invalid_argument);
    });
}

TEST(queue_shutdown, at_once_after_a_gentle_one_drops_the_rest) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        queue.put_nowait(1);
        queue.shutdown();
        EXPECT_EQ(queue.qsize(), 1u);
        queue.shutdown({.immediate = true});
        EXPECT_THROW(queue.get_nowait(), QueueShutDown);
        co_await queue.join();
    });
}

TEST(queue_shutdown, a_cancelled_getter_stays_cancelled) {
    run_test([]() -> Coro<> {
        Queue<int> queue;
        auto before = create_task(get(queue));
        auto after = create_task(get(queue));
        co_await sleep(0s);
        before.cancel();
        queue.shutdown();
        after.cancel();
        co_await sleep(0s);
        EXPECT_TRUE(before.cancelled());
        EXPECT_TRUE(after.cancelled());
    });
}

}  // namespace
