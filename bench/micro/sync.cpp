// Tasks that pass something to each other: an item, a lock, a signal.

#include <asyncio.h>

#include "benchmark.h"

namespace bench {
namespace {

using asyncio::Coro;
using asyncio::Event;
using asyncio::Lock;
using asyncio::Queue;

Coro<> produce(Queue<std::uint64_t>& queue, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) co_await queue.put(i);
}

// The operation: an item goes from one task to another through a queue that holds one item. For
// each item the producer waits for room and the consumer waits for the item. So an operation
// includes two steps of tasks.
Coro<Cost> queue1(std::uint64_t count) {
    Queue<std::uint64_t> queue(1);
    const WallClock clock;
    auto producer = asyncio::create_task(produce(queue, count));
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) sum += co_await queue.get();
    co_await producer;
    const double elapsed = clock.nanoseconds();
    keep(sum);
    co_return Cost{elapsed};
}

Coro<> lock_often(Lock& lock, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
        auto held = co_await lock.acquire();
        keep(held);
    }
}

// The operation: a free lock is acquired and released.
Coro<Cost> lock(std::uint64_t count) {
    Lock lock;
    const WallClock clock;
    co_await lock_often(lock, count);
    co_return Cost{clock.nanoseconds()};
}

// The operation: a task acquires a lock that another task holds, and releases it. The task that
// releases the lock must wait for it again. So the two tasks alternate, one step each.
Coro<Cost> lock_contended(std::uint64_t count) {
    Lock lock;
    auto held = co_await lock.acquire();
    auto one = asyncio::create_task(lock_often(lock, count / 2));
    auto other = asyncio::create_task(lock_often(lock, count / 2));
    co_await asyncio::sleep(asyncio::Duration::zero());
    const WallClock clock;
    held.release();
    co_await one;
    co_await other;
    co_return Cost{clock.nanoseconds()};
}

Coro<> answer(Event& ping, Event& pong, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await ping.wait();
        ping.clear();
        pong.set();
    }
}

// The operation: a task sets an event, and the task that waits for it runs. A ping and its pong are
// two operations.
Coro<Cost> event(std::uint64_t count) {
    Event ping, pong;
    const WallClock clock;
    auto other = asyncio::create_task(answer(ping, pong, count / 2));
    for (std::uint64_t i = 0; i < count / 2; ++i) {
        ping.set();
        co_await pong.wait();
        pong.clear();
    }
    co_await other;
    co_return Cost{clock.nanoseconds()};
}

constexpr Benchmark benchmarks[] = {
    {"queue1", "an item through a queue of one place, from task to task", 300'000, 50,
     [](std::uint64_t count) { return asyncio::run(queue1(count)); }},
    {"lock", "a lock that is free, acquired and released", 2'000'000, 50,
     [](std::uint64_t count) { return asyncio::run(lock(count)); }},
    {"lock_contended", "a lock that another task holds, acquired and released", 500'000, 50,
     [](std::uint64_t count) { return asyncio::run(lock_contended(count)); }},
    {"event", "an event set for a task that waits", 500'000, 50,
     [](std::uint64_t count) { return asyncio::run(event(count)); }},
};

}  // namespace

std::span<const Benchmark> sync_benchmarks() { return benchmarks; }

}  // namespace bench
