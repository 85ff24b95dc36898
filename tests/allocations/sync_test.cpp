// Locks and queues, with every allocation failing once. How it is done is told in sweep.cpp.

#include <asyncio/barrier.h>
#include <asyncio/condition.h>
#include <asyncio/event.h>
#include <asyncio/lock.h>
#include <asyncio/queue.h>
#include <asyncio/semaphore.h>
#include <asyncio/task_group.h>

#include "parts.h"
#include "sweep.h"

#include <string>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

SCENARIO(event_with_several_waiters) {
    Event event;
    int woken = 0;
    const auto wait = [&]() -> Coro<> {
        co_await event.wait();
        ++woken;
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 3; ++i) group.create_task(wait());
        co_await sleep(1ms);
        event.set();
    });
    require(woken == 3, "woken");
}

SCENARIO(lock_taken_in_turn) {
    Lock lock;
    int inside = 0;
    const auto use = [&]() -> Coro<> {
        const auto held = co_await lock.acquire();
        require(inside == 0, "alone");
        inside = 1;
        std::exception_ptr error;
        try {
            co_await part(1);
        } catch (...) {
            error = std::current_exception();
        }
        inside = 0;
        if (error != nullptr) std::rethrow_exception(error);
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 3; ++i) group.create_task(use());
        co_return;
    });
    require(!lock.locked(), "free");
}

SCENARIO(semaphore_taken_and_cancelled) {
    Semaphore semaphore(1);
    const auto use = [&]() -> Coro<> {
        const auto held = co_await semaphore.acquire();
        co_await sleep(1ms);
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(use());
        auto second = group.create_task(use());
        co_await sleep(0ms);
        second.cancel(long_text);
    });
    require(!semaphore.locked(), "free");
}

SCENARIO(condition_notified) {
    Condition condition;
    bool is_true = false;
    const auto wait = [&]() -> Coro<> {
        const auto held = co_await condition.acquire();
        co_await condition.wait_for([&] { return is_true; });
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(wait());
        group.create_task(wait());
        co_await sleep(1ms);
        const auto held = co_await condition.acquire();
        is_true = true;
        condition.notify_all();
    });
    require(!condition.locked(), "free");
}

SCENARIO(condition_wait_cancelled) {
    Condition condition;
    const auto wait = [&]() -> Coro<> {
        const auto held = co_await condition.acquire();
        co_await condition.wait();
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        auto task = group.create_task(wait());
        co_await sleep(1ms);
        task.cancel(long_text);
    });
    require(!condition.locked(), "free");
}

SCENARIO(barrier_passed_and_reset) {
    Barrier barrier(2);
    int passed = 0;
    int refused = 0;
    const auto pass = [&]() -> Coro<> {
        try {
            co_await barrier.wait();
            ++passed;
        } catch (const BrokenBarrierError&) {
            ++refused;
        }
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 2; ++i) group.create_task(pass());
        co_await sleep(1ms);
        group.create_task(pass());
        co_await sleep(1ms);
        barrier.reset();
    });
    require(passed == 2 && refused == 1, "passed");
}

SCENARIO(queue_with_a_producer_and_consumers) {
    Queue<std::string> queue(2);
    int taken = 0;
    const auto consume = [&]() -> Coro<> {
        while (auto item = co_await queue.next()) {
            ++taken;
            queue.task_done();
        }
    };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(consume());
        group.create_task(consume());
        for (int i = 0; i < 6; ++i) co_await queue.put(long_text);
        co_await queue.join();
        queue.shutdown();
    });
    require(taken == 6, "taken");
}

SCENARIO(queue_without_limit_and_without_waiting) {
    Queue<std::string> queue;
    for (int i = 0; i < 100; ++i) queue.put_nowait(long_text);
    for (int i = 0; i < 100; ++i) require(queue.get_nowait() == long_text, "item");
    bool is_empty = false;
    try {
        queue.get_nowait();
    } catch (const QueueEmpty&) {
        is_empty = true;
    }
    require(is_empty, "empty");
    co_return;
}

SCENARIO(priority_queue_and_lifo_queue) {
    PriorityQueue<int> by_value;
    LifoQueue<std::string> stack(40);
    for (int i = 0; i < 40; ++i) {
        by_value.put_nowait(i * 17 % 40);
        co_await stack.put(long_text);
    }
    for (int i = 0; i < 40; ++i) {
        require(co_await by_value.get() == i, "order");
        require(co_await stack.get() == long_text, "item");
    }
}

SCENARIO(queue_put_that_waits_and_is_cancelled) {
    Queue<std::string> queue(1);
    queue.put_nowait(long_text);
    const auto put = [&]() -> Coro<> { co_await queue.put(long_text); };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        auto task = group.create_task(put());
        co_await sleep(1ms);
        task.cancel();
    });
    require(queue.qsize() == 1, "size");
}
