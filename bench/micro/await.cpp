// An await that stays inside the task, and a task that yields to the others.

#include <asyncio.h>

#include "benchmark.h"

#include <vector>

namespace bench {
namespace {

using asyncio::Coro;

Coro<std::uint64_t> successor(std::uint64_t number) { co_return number + 1; }

// The operation: a call of a coroutine function, the await of what it returned, its result, and the
// end of its frame. The child does not wait, so no iteration of the loop is involved.
Coro<Cost> await_chain(std::uint64_t count) {
    std::uint64_t number = 0;
    const WallClock clock;
    while (number < count) number = co_await successor(number);
    const double elapsed = clock.nanoseconds();
    keep(number);
    co_return Cost{elapsed};
}

Coro<> yield_often(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) co_await asyncio::sleep(asyncio::Duration::zero());
}

// The operation: a task yields and continues one iteration of the loop later. The time includes the
// start and the end of the tasks, which are few compared with the operations.
Coro<Cost> yield_among(std::uint64_t tasks, std::uint64_t count) {
    std::vector<asyncio::Task<>> running;
    running.reserve(tasks);
    const WallClock clock;
    for (std::uint64_t i = 0; i < tasks; ++i) {
        running.push_back(asyncio::create_task(yield_often(count / tasks)));
    }
    for (const auto& task : running) co_await task;
    co_return Cost{clock.nanoseconds()};
}

constexpr Benchmark benchmarks[] = {
    {"await_chain", "co_await of a child that returns at once", 2'000'000, 50,
     [](std::uint64_t count) { return asyncio::run(await_chain(count)); }},
    {"yield", "a turn, between two tasks", 1'000'000, 50,
     [](std::uint64_t count) { return asyncio::run(yield_among(2, count)); }},
    {"yield_10000", "a turn, among 10,000 tasks", 2'000'000, 50,
     [](std::uint64_t count) { return asyncio::run(yield_among(10'000, count)); }},
};

}  // namespace

std::span<const Benchmark> await_benchmarks() { return benchmarks; }

}  // namespace bench
