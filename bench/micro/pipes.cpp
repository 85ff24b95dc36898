// A message through a pipe and back.

#include <asyncio.h>

#include "benchmark.h"

#include <string>

namespace bench {
namespace {

using asyncio::Coro;
using asyncio::Pipe;

Coro<> echo(const asyncio::StreamReader& in, const asyncio::StreamWriter& out,
            std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string message = co_await in.readexactly(8);
        co_await out.send(message);
    }
}

// The operation: eight bytes go to another task through a pipe, and come back through a second one.
// Each of the two reads has to wait.
Coro<Cost> pipe_round_trip(std::uint64_t count) {
    const Pipe there = co_await asyncio::open_pipe();
    const Pipe back = co_await asyncio::open_pipe();
    auto echoing = asyncio::create_task(echo(there.reader, back.writer, count));
    const WallClock clock;
    for (std::uint64_t i = 0; i < count; ++i) {
        co_await there.writer.send("12345678");
        keep(co_await back.reader.readexactly(8));
    }
    const double elapsed = clock.nanoseconds();
    co_await echoing;
    co_return Cost{elapsed};
}

Coro<> yield_often(std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) co_await asyncio::sleep(asyncio::Duration::zero());
}

Coro<> read_one(asyncio::StreamReader reader) { co_await reader.read(1); }

// The operation: an iteration, as in `yield`, while a read is in flight, so that the loop has to
// poll the back-end from time to time.
Coro<Cost> yield_beside_read(std::uint64_t count) {
    Pipe pipe = co_await asyncio::open_pipe();
    auto reading = asyncio::create_task(read_one(std::move(pipe.reader)));
    co_await asyncio::sleep(asyncio::Duration::zero());
    const WallClock clock;
    auto other = asyncio::create_task(yield_often(count / 2));
    co_await yield_often(count / 2);
    co_await other;
    const double elapsed = clock.nanoseconds();
    pipe.writer.close();
    co_await reading;
    co_return Cost{elapsed};
}

constexpr Benchmark benchmarks[] = {
    {"pipe_round_trip", "eight bytes through a pipe and back", 5'000, 20,
     [](std::uint64_t count) { return asyncio::run(pipe_round_trip(count)); }},
    {"yield_beside_read", "a turn, between two tasks, while a read waits", 1'000'000, 20,
     [](std::uint64_t count) { return asyncio::run(yield_beside_read(count)); }},
};

}  // namespace

std::span<const Benchmark> pipe_benchmarks() { return benchmarks; }

}  // namespace bench
