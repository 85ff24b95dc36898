// Starting tasks: a million at once, and one after another.

#include <asyncio.h>

#include "benchmark.h"

#include <vector>

namespace bench {
namespace {

using asyncio::Coro;

Coro<std::uint64_t> same(std::uint64_t number) { co_return number; }

// The operation: a coroutine becomes a task under `gather`, runs, and its result is collected. The
// vectors that hold coroutines, tasks and results are included, and so is the release of all this
// memory. All tasks exist before the first of them runs.
Coro<double> gather_all(std::uint64_t count) {
    const WallClock clock;
    {
        std::vector<Coro<std::uint64_t>> coroutines;
        coroutines.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) coroutines.push_back(same(i));
        const std::vector<std::uint64_t> results = co_await asyncio::gather(std::move(coroutines));
        keep(results.back());
    }
    co_return clock.nanoseconds();
}

// In the first run, the memory comes new from the kernel, page by page. The growth of the process
// is the memory of everything that exists at the peak, the vectors included. An earlier benchmark
// in the process would leave memory for reuse. So this benchmark comes first and runs once.
Cost gather_spawn_fresh(std::uint64_t count) {
    const double before = resident_bytes();
    const double elapsed = asyncio::run(gather_all(count));
    return {elapsed, peak_resident_bytes() - before};
}

// In every later run, tasks and frames reuse the memory of earlier ones.
Cost gather_spawn(std::uint64_t count) { return {asyncio::run(gather_all(count))}; }

// The operation: `create_task`, and the await of the task until it has run and given its result.
Coro<Cost> spawn_await(std::uint64_t count) {
    const WallClock clock;
    for (std::uint64_t i = 0; i < count; ++i) keep(co_await asyncio::create_task(same(i)));
    co_return Cost{clock.nanoseconds()};
}

constexpr Benchmark benchmarks[] = {
    {"gather_spawn_fresh", "a task among 1,000,000, in memory never used before", 1'000'000, 1,
     &gather_spawn_fresh},
    {"gather_spawn", "a task among 1,000,000, started and collected", 1'000'000, 7, &gather_spawn},
    {"spawn_await", "a task started and awaited, one at a time", 300'000, 50,
     [](std::uint64_t count) { return asyncio::run(spawn_await(count)); }},
};

}  // namespace

std::span<const Benchmark> spawn_benchmarks() { return benchmarks; }

}  // namespace bench
