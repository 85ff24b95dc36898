// Goal: in debug mode, what only the loop's thread may do is refused on every other thread, and
// changes nothing there.
// Method: a task waits in each object, so that it belongs to the loop; then another thread uses it,
// while the loop's thread waits for that one.

#include <asyncio/barrier.h>
#include <asyncio/condition.h>
#include <asyncio/event.h>
#include <asyncio/lock.h>
#include <asyncio/queue.h>
#include <asyncio/semaphore.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "support/run_test.h"

#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::get_running_loop;
using asyncio::RuntimeError;
using asyncio::sleep;
using support::contains;
using support::LogCapture;
using support::TestLoop;
using namespace std::chrono_literals;

/// What `use` throws on another thread; empty if it throws nothing.
std::string refusal_elsewhere(const std::function<void()>& use) {
    std::string text;
    std::thread other([&] {
        try {
            use();
        } catch (const RuntimeError& error) {
            text = error.what();
        }
    });
    other.join();
    return text;
}

#define EXPECT_REFUSED_ELSEWHERE(...)                               \
    EXPECT_TRUE(contains(refusal_elsewhere([&] { __VA_ARGS__; }),   \
                         "used on a thread other than its loop's")) \
        << #__VA_ARGS__

/// As `support::run_test`, in debug mode.
template <class Body>
void run_in_debug_mode(Body body) {
    const LogCapture log;
    TestLoop loop({.debug = true});
    loop->slow_callback_duration = 1h;
    loop->run_until_complete(body());
    loop->close();
}

Coro<> nothing() { co_return; }
Coro<> wait_for(asyncio::Event& event) { co_await event.wait(); }
Coro<int> get_from(asyncio::Queue<int>& queue) { co_return co_await queue.get(); }
Coro<> wait_at(asyncio::Barrier& barrier) { co_await barrier.wait(); }
Coro<> wait_in(asyncio::Condition& condition) {
    const auto held = co_await condition.acquire();
    co_await condition.wait();
}

TEST(debug_thread, an_event_is_its_loops) {
    run_in_debug_mode([]() -> Coro<> {
        asyncio::Event event;
        auto waiter = create_task(wait_for(event));
        co_await sleep(0s);
        EXPECT_REFUSED_ELSEWHERE(event.set());
        EXPECT_REFUSED_ELSEWHERE(event.clear());
        co_await sleep(0s);
        EXPECT_FALSE(waiter.done());
        event.set();
        co_await waiter;
        EXPECT_REFUSED_ELSEWHERE(event.clear());
        EXPECT_TRUE(event.is_set());
    });
}

TEST(debug_thread, a_queue_is_its_loops) {
    run_in_debug_mode([]() -> Coro<> {
        asyncio::Queue<int> queue(1);
        auto getter = create_task(get_from(queue));
        co_await sleep(0s);
        EXPECT_REFUSED_ELSEWHERE(queue.put_nowait(1));
        EXPECT_REFUSED_ELSEWHERE(queue.get_nowait());
        EXPECT_REFUSED_ELSEWHERE(queue.task_done());
        EXPECT_REFUSED_ELSEWHERE(queue.shutdown());
        queue.put_nowait(2);
        EXPECT_EQ(co_await getter, 2);
    });
}

TEST(debug_thread, a_barrier_and_a_condition_are_their_loops) {
    run_in_debug_mode([]() -> Coro<> {
        asyncio::Barrier barrier(2);
        asyncio::Condition condition;
        auto at_barrier = create_task(wait_at(barrier));
        auto in_condition = create_task(wait_in(condition));
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_REFUSED_ELSEWHERE(barrier.abort());
        EXPECT_REFUSED_ELSEWHERE(barrier.reset());
        auto held = co_await condition.acquire();
        EXPECT_REFUSED_ELSEWHERE(condition.notify());
        EXPECT_REFUSED_ELSEWHERE(condition.notify_all());
        condition.notify();
        held.release();
        co_await barrier.wait();
        co_await at_barrier;
        co_await in_condition;
    });
}

Coro<> take(asyncio::Semaphore& semaphore) { const auto held = co_await semaphore.acquire(); }
Coro<> take(asyncio::Lock& lock) { const auto held = co_await lock.acquire(); }

TEST(debug_thread, a_lock_and_a_semaphore_are_their_loops) {
    run_in_debug_mode([]() -> Coro<> {
        asyncio::Lock lock;
        asyncio::Semaphore semaphore(1);
        (co_await lock.acquire()).keep();
        (co_await semaphore.acquire()).keep();
        auto at_lock = create_task(take(lock));
        auto at_semaphore = create_task(take(semaphore));
        co_await sleep(0s);
        EXPECT_REFUSED_ELSEWHERE(lock.release());
        EXPECT_REFUSED_ELSEWHERE(semaphore.release());
        co_await sleep(0s);
        EXPECT_FALSE(at_lock.done());
        EXPECT_FALSE(at_semaphore.done());
        lock.release();
        semaphore.release();
        co_await at_lock;
        co_await at_semaphore;
    });
}

TEST(debug_thread, the_loop_is_its_threads) {
    run_in_debug_mode([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::size_t tasks = asyncio::all_tasks(loop).size();
        EXPECT_REFUSED_ELSEWHERE(loop.stop());
        EXPECT_REFUSED_ELSEWHERE(loop.call_soon([] {}));
        EXPECT_REFUSED_ELSEWHERE(loop.call_later(1h, [] {}));
        EXPECT_REFUSED_ELSEWHERE(loop.create_task(nothing()));
        EXPECT_EQ(asyncio::all_tasks(loop).size(), tasks);
        co_return;
    });
}

TEST(debug_thread, before_and_after_the_loop_runs_any_thread_may) {
    const LogCapture log;
    asyncio::Event event;
    {
        TestLoop loop({.debug = true});
        loop->run_until_complete([](asyncio::Event& of) -> Coro<> {
            auto waiter = create_task(wait_for(of));
            co_await sleep(0s);
            of.set();
            co_await waiter;
        }(event));
        EXPECT_EQ(refusal_elsewhere([&] { event.clear(); }), "");
    }
    EXPECT_EQ(refusal_elsewhere([&] { event.set(); }), "") << "the loop has gone";
    EXPECT_TRUE(event.is_set());
}

}  // namespace
