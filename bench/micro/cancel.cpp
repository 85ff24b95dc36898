// Cancelling many tasks, each with a stack of coroutines to unwind: what a server does when it
// shuts down.

#include <asyncio.h>

#include "benchmark.h"

#include <vector>

namespace bench {
namespace {

using asyncio::Coro;

/// A local variable with a destructor in every frame, as in real code, so that the unwinding must
/// run destructors.
struct Guard {
    explicit Guard(std::uint64_t& count) : count_(count) { ++count_; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { --count_; }

private:
    std::uint64_t& count_;
};

Coro<> descend(int frames, std::uint64_t& alive) {
    const Guard guard(alive);
    if (frames > 1) {
        co_await descend(frames - 1, alive);
    } else {
        co_await asyncio::sleep(asyncio::Duration::max());
    }
}

// The operation: the end of a task that is parked `frames` coroutines deep, from `cancel()` until
// an awaiting task has its outcome. In between, the CancelledError passes every frame.
Coro<Cost> cancel_parked(std::uint64_t count, int frames) {
    std::uint64_t alive = 0;
    std::vector<asyncio::Task<>> tasks;
    tasks.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        tasks.push_back(asyncio::create_task(descend(frames, alive)));
    }
    while (alive < count * static_cast<std::uint64_t>(frames)) {
        co_await asyncio::sleep(asyncio::Duration::zero());
    }
    const WallClock clock;
    for (const auto& task : tasks) task.cancel();
    co_await asyncio::gather_settled(std::move(tasks));
    const double elapsed = clock.nanoseconds();
    if (alive != 0) throw std::logic_error("a cancelled task has left a frame behind");
    co_return Cost{elapsed};
}

constexpr Benchmark benchmarks[] = {
    {"cancel", "a task parked ten frames deep, cancelled and unwound, one of 10,000", 10'000, 15,
     [](std::uint64_t count) { return asyncio::run(cancel_parked(count, 10)); }},
    {"cancel_shallow", "the same with one frame", 10'000, 15,
     [](std::uint64_t count) { return asyncio::run(cancel_parked(count, 1)); }},
};

}  // namespace

std::span<const Benchmark> cancel_benchmarks() { return benchmarks; }

}  // namespace bench
