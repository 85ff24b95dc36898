// Datagrams between two endpoints on the loopback address.

#include <asyncio.h>

#include "benchmark.h"

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace bench {
namespace {

using asyncio::Address;
using asyncio::Coro;
using asyncio::Datagram;
using asyncio::ReceivedFrom;

struct Ends {
    Datagram sender;
    Datagram receiver;
};

Coro<Ends> connected(bool offload) {
    Ends ends;
    ends.receiver = co_await asyncio::open_datagram(
        {.local_addr = Address::loopback_v4(0), .offload = offload});
    ends.sender =
        co_await asyncio::open_datagram({.remote_addr = ends.receiver.local(), .offload = offload});
    co_return ends;
}

Coro<> echo(const Datagram& endpoint, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        const ReceivedFrom message = co_await endpoint.receive();
        co_await endpoint.send(message.data, message.address);
    }
}

// The operation: eight bytes go to another task and come back. Each of the two receives has to
// wait.
Coro<Cost> datagram_round_trip(std::uint64_t count) {
    const Ends ends = co_await connected(true);
    auto echoing = asyncio::create_task(echo(ends.receiver, count));
    const CpuClock clock;
    for (std::uint64_t i = 0; i < count; ++i) {
        co_await ends.sender.send("12345678");
        keep(co_await ends.sender.receive());
    }
    const double elapsed = clock.nanoseconds();
    co_await echoing;
    co_return Cost{elapsed};
}

/// As many as find room in the buffer of the receiver.
constexpr std::size_t burst = 32;

std::vector<std::string> burst_of_texts() { return {burst, std::string(1000, 'x')}; }

// The operation: a datagram of 1000 bytes is sent and received, one by one.
Coro<Cost> datagram_single(std::uint64_t count) {
    const Ends ends = co_await connected(true);
    const std::vector<std::string> texts = burst_of_texts();
    const CpuClock clock;
    for (std::uint64_t i = 0; i < count; i += burst) {
        for (const std::string& text : texts) co_await ends.sender.send(text);
        for (std::size_t j = 0; j < burst; ++j) keep(co_await ends.receiver.receive());
    }
    co_return Cost{clock.nanoseconds()};
}

// The operation: the same, 32 of them at once. With `offload` they are one piece of work.
Coro<Cost> datagram_many(std::uint64_t count, bool offload) {
    const Ends ends = co_await connected(offload);
    const std::vector<std::string> texts = burst_of_texts();
    const CpuClock clock;
    for (std::uint64_t i = 0; i < count; i += burst) {
        co_await ends.sender.send_many(texts);
        for (std::size_t received = 0; received < burst;) {
            const std::vector<ReceivedFrom> some = co_await ends.receiver.receive_many(burst);
            received += some.size();
        }
    }
    co_return Cost{clock.nanoseconds()};
}

constexpr Benchmark benchmarks[] = {
    {"datagram_round_trip", "eight bytes to another task and back", 5'000, 20,
     [](std::uint64_t count) { return asyncio::run(datagram_round_trip(count)); }},
    {"datagram_single", "1000 bytes sent and received, one by one", 32'000, 20,
     [](std::uint64_t count) { return asyncio::run(datagram_single(count)); }},
    {"datagram_many_plain", "the same, 32 at once, without offload", 32'000, 20,
     [](std::uint64_t count) { return asyncio::run(datagram_many(count, false)); }},
    {"datagram_many", "the same, 32 at once", 32'000, 20,
     [](std::uint64_t count) { return asyncio::run(datagram_many(count, true)); }},
};

}  // namespace

std::span<const Benchmark> datagram_benchmarks() { return benchmarks; }

}  // namespace bench
