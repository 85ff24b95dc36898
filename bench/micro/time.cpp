// Deadlines: a million that expire, and many that are cancelled before.

#include <asyncio.h>

#include "benchmark.h"

#include <random>
#include <vector>

namespace bench {
namespace {

using asyncio::Coro;
using namespace std::chrono_literals;

Coro<> sleep_for(asyncio::Duration delay) { co_await asyncio::sleep(delay); }

// The operation: a task that sleeps once, from its creation to its end. The sleeps take one second
// plus a random part of a second. So all sleeps are pending before the first of them ends. The
// benchmark measures processor time, because most of the elapsed time is spent asleep.
Coro<Cost> sleep_cpu(std::uint64_t count) {
    std::minstd_rand random(1);
    std::uniform_int_distribution<std::int64_t> spread(0, asyncio::Duration(1s).count() - 1);
    const CpuClock clock;
    std::vector<Coro<>> sleepers;
    sleepers.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        sleepers.push_back(sleep_for(1s + asyncio::Duration(spread(random))));
    }
    co_await asyncio::gather(std::move(sleepers));
    co_return Cost{clock.nanoseconds()};
}

Coro<std::uint64_t> at_once(std::uint64_t number) { co_return number; }

Coro<std::uint64_t> after_a_turn(std::uint64_t number) {
    co_await asyncio::sleep(asyncio::Duration::zero());
    co_return number;
}

// The operation: a limit is set, a coroutine that waits for one iteration of the loop runs to its
// end within it, and the limit is cancelled.
Coro<Cost> wait_for(std::uint64_t count) {
    const WallClock clock;
    for (std::uint64_t i = 0; i < count; ++i)
        keep(co_await asyncio::wait_for(after_a_turn(i), 10s));
    co_return Cost{clock.nanoseconds()};
}

// The same where the coroutine does not wait at all.
Coro<Cost> wait_for_ready(std::uint64_t count) {
    const WallClock clock;
    for (std::uint64_t i = 0; i < count; ++i) keep(co_await asyncio::wait_for(at_once(i), 10s));
    co_return Cost{clock.nanoseconds()};
}

Coro<> limited_often(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i)
        keep(co_await asyncio::wait_for(after_a_turn(i), 10s));
}

// The same in 10,000 tasks at once, as in a busy server: 10,000 limits are pending. They are
// cancelled in the order in which they were set, which is the worst order for the heap.
Coro<Cost> wait_for_among(std::uint64_t tasks, std::uint64_t count) {
    std::vector<Coro<>> limited;
    for (std::uint64_t i = 0; i < tasks; ++i) limited.push_back(limited_often(count / tasks));
    const WallClock clock;
    co_await asyncio::gather(std::move(limited));
    co_return Cost{clock.nanoseconds()};
}

constexpr Benchmark benchmarks[] = {
    {"sleep_cpu", "processor time of a sleep among 1,000,000 that end within a second", 1'000'000,
     3, [](std::uint64_t count) { return asyncio::run(sleep_cpu(count)); }},
    {"wait_for", "a limit that does not expire, on a child that waits once", 200'000, 50,
     [](std::uint64_t count) { return asyncio::run(wait_for(count)); }},
    {"wait_for_ready", "a limit on a child that returns at once", 200'000, 50,
     [](std::uint64_t count) { return asyncio::run(wait_for_ready(count)); }},
    {"wait_for_10000", "as wait_for, in 10,000 tasks at once", 200'000, 50,
     [](std::uint64_t count) { return asyncio::run(wait_for_among(10'000, count)); }},
};

}  // namespace

std::span<const Benchmark> time_benchmarks() { return benchmarks; }

}  // namespace bench
