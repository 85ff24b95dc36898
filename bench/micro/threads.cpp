// Between threads: a job that goes to a worker and comes back, and a callback that goes to the
// loop.

#include <asyncio.h>

#include "benchmark.h"

#include <atomic>
#include <thread>

namespace bench {
namespace {

using asyncio::Coro;

std::uint64_t same(std::uint64_t number) { return number; }

// The operation: an empty job goes to a thread of a pool, and is awaited. Both threads sleep in
// between. So this is the time of two wake-ups by the kernel, plus the work of the library.
Coro<Cost> run_in_executor(std::uint64_t count) {
    asyncio::ThreadPoolExecutor pool({.max_workers = 1});
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    co_await loop.run_in_executor(pool, same, std::uint64_t{0});
    const WallClock clock;
    for (std::uint64_t i = 0; i < count; ++i) keep(co_await loop.run_in_executor(pool, same, i));
    co_return Cost{clock.nanoseconds()};
}

// The same without the wake-ups: 64 jobs are on their way at any time.
Coro<> keep_busy(asyncio::ThreadPoolExecutor& pool, std::uint64_t& left) {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    while (left > 0) keep(co_await loop.run_in_executor(pool, same, --left));
}

Coro<Cost> executor_stream(std::uint64_t count) {
    asyncio::ThreadPoolExecutor pool({.max_workers = 1});
    std::vector<Coro<>> streams;
    for (int i = 0; i < 64; ++i) streams.push_back(keep_busy(pool, count));
    const WallClock clock;
    co_await asyncio::gather(std::move(streams));
    co_return Cost{clock.nanoseconds()};
}

// The operation: another thread calls `call_soon_threadsafe`, and the callback runs. That thread
// does nothing else; the loop is awake, or is woken.
Cost call_soon_threadsafe(std::uint64_t count) {
    asyncio::EventLoop loop;
    std::uint64_t ran = 0;
    double elapsed = 0;
    std::atomic<bool> go{false};
    std::thread caller([&] {
        go.wait(false);
        for (std::uint64_t i = 0; i < count; ++i) {
            loop.call_soon_threadsafe([&loop, &ran, count] {
                if (++ran == count) loop.stop();
            });
        }
    });
    loop.call_soon([&] {
        go.store(true);
        go.notify_one();
    });
    const WallClock clock;
    loop.run_forever();
    elapsed = clock.nanoseconds();
    caller.join();
    return {elapsed};
}

constexpr Benchmark benchmarks[] = {
    {"run_in_executor", "a job to a thread and back, one at a time", 3'000, 30,
     [](std::uint64_t count) { return asyncio::run(run_in_executor(count)); }},
    {"executor_stream", "a job to a thread and back, 64 on their way", 20'000, 20,
     [](std::uint64_t count) { return asyncio::run(executor_stream(count)); }},
    {"call_soon_threadsafe", "a callback from another thread", 50'000, 20, &call_soon_threadsafe},
};

}  // namespace

std::span<const Benchmark> thread_benchmarks() { return benchmarks; }

}  // namespace bench
