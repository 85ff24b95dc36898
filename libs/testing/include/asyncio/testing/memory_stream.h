#pragma once
// Two channels that are connected in memory, as the two ends of a socket are.
//
// A protocol over streams can be tested with them without a descriptor: one end is given to the
// code under test, the other one plays the peer. They work on every loop and need no time, so a
// test in simulated time stays deterministic.
//
// Each direction holds a limited number of bytes. A write that finds no room waits, so a test can
// see back-pressure, too. Short reads and writes, delays and failures are the business of a channel
// in between.

#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/channel.h>

#include <cstddef>
#include <memory>

namespace asyncio::testing {

/// The two ends. What is written to one is read from the other.
struct MemoryChannels {
    std::shared_ptr<lowlevel::Channel> first;
    std::shared_ptr<lowlevel::Channel> second;
};

/// How `memory_channels` makes the ends.
struct MemoryOptions {
    /// How many bytes each direction holds. At least 1.
    std::size_t capacity_bytes = 64 * 1024;
};

/// Makes two connected ends on `loop`.
///
/// When an end closes its writing side, the other end reads what is left and then the end of the
/// stream. When an end closes its reading side, a write of the other end fails with EPIPE. An end
/// that is destroyed has closed both.
/// Throws: `std::invalid_argument` if the capacity is 0.
MemoryChannels memory_channels(EventLoop& loop, MemoryOptions options = {});

}  // namespace asyncio::testing
