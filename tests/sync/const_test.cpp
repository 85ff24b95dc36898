// A function that only looks at a lock, an event or a queue takes it by a reference to const. So
// what such an object can be asked is const, and asking changes nothing.

#include <asyncio/barrier.h>
#include <asyncio/condition.h>
#include <asyncio/coro.h>
#include <asyncio/event.h>
#include <asyncio/lock.h>
#include <asyncio/queue.h>
#include <asyncio/run.h>
#include <asyncio/semaphore.h>

#include <utility>

#include <gtest/gtest.h>

namespace {

using namespace asyncio;

TEST(const_objects, locks_and_events_can_be_asked) {
    run([]() -> Coro<> {
        Lock lock;
        Event event;
        Semaphore semaphore(1);
        Condition condition(lock);
        const auto held = co_await lock.acquire();
        const auto permit = co_await semaphore.acquire();
        event.set();
        EXPECT_TRUE(std::as_const(lock).locked());
        EXPECT_TRUE(std::as_const(condition).locked());
        EXPECT_TRUE(std::as_const(semaphore).locked());
        EXPECT_TRUE(std::as_const(event).is_set());
    });
}

TEST(const_objects, queues_and_barriers_can_be_asked) {
    run([]() -> Coro<> {
        Queue<int> queue(2);
        co_await queue.put(1);
        const Queue<int>& asked = queue;
        EXPECT_EQ(asked.qsize(), 1U);
        EXPECT_EQ(asked.maxsize(), 2);
        EXPECT_FALSE(asked.empty());
        EXPECT_FALSE(asked.full());
        const Barrier barrier(3);
        EXPECT_EQ(barrier.parties(), 3U);
        EXPECT_EQ(barrier.n_waiting(), 0U);
        EXPECT_FALSE(barrier.broken());
    });
}

}  // namespace
