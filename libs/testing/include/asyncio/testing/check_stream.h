#pragma once
// What every stream promises, as a suite of cases that can be run on a stream of one's own.
//
// A program that brings a channel (lowlevel/channel.h), or builds a stream out of other streams,
// gives a function that makes a connected pair. The suite uses many such pairs: bytes in order and
// in whatever pieces they come, reads with limits, back-pressure, cancellations at every moment,
// all ways in which a stream ends, handles that go at any time, a loop that closes.
//
//     Coro<Pipe> over_my_channel(std::size_t limit);
//     TEST(my_channel, keeps_the_promises_of_a_stream) { check_stream({over_my_channel}); }
//
// The library runs the suite on each of its own channels.
//
// In a simulated world (`seed`) the suite is deterministic, and a stream that loses a wake-up is
// found at once: the case ends with a DeadlockError. On a back-end of the kernel it would hang.
//
// Thread-safety: the calling thread, which must not be running a loop.

#include <asyncio/coro.h>
#include <asyncio/lowlevel/backend.h>
#include <asyncio/stream.h>
#include <asyncio/streams.h>
#include <asyncio/testing/simulate.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace asyncio::testing {

/// Makes a pair out of the two ends of a connection: the direction from `from` to `to`. The other
/// direction is not used. Closing the reader or the writer closes the whole end, so that the two
/// behave as the ends of a pipe. For `StreamUnderTest::make`. The reader has the limit
/// `limit_bytes`.
/// Throws: RuntimeError as `Stream::detach`; `std::invalid_argument` if bytes have come already.
Pipe one_way(Stream from, Stream to, std::size_t limit_bytes);

/// A stream to check.
struct StreamUnderTest {
    /// Makes a connected pair: what is written to the writer is read from the reader. It is called
    /// on the loop of a case, for every pair anew. The reader must have the limit `limit_bytes`.
    /// Closing one of the two does not close the other, as with a pipe (`one_way`).
    std::function<Coro<Pipe>(std::size_t limit_bytes)> make;
    /// Whether a writer may succeed for a while after its reader has gone, because what lies in
    /// between takes the bytes. A writer must fail in the end, in any case.
    bool drops_late_bytes = false;
    /// More than the stream and all that lies in between hold together when nothing is read. At
    /// least one byte.
    std::size_t more_than_fits_bytes = 600'000;
};

/// Where `check_stream` runs its cases.
struct CheckStreamOptions {
    /// The back-end of the loops.
    lowlevel::BackendKind backend = lowlevel::BackendKind::automatic;
    /// If set, the loops are simulated worlds of this seed instead.
    std::optional<std::uint64_t> seed = std::nullopt;
};

/// One promise of streams.
struct StreamCase {
    /// A sentence with underscores: "a_cancelled_read_takes_nothing_away".
    const char* name;
    /// Runs the case. Throws: as `check_stream`.
    void (*run)(const StreamUnderTest& stream, const CheckStreamOptions& options);
};

/// All cases, for a program that reports each by itself.
std::span<const StreamCase> stream_cases() noexcept;

/// Runs all cases, and stops at the first that fails.
/// Throws: AssertionError with the name of the case, and what was got and wanted. DeadlockError if
/// a case can never end, in a simulated world. Every error that `stream.make` throws.
/// Python: none.
void check_stream(const StreamUnderTest& stream, const CheckStreamOptions& options = {});

/// Runs all cases in many simulated worlds, as `simulate_seeds`.
/// Throws: SeedError at the first seed under which a case fails.
void check_stream_seeds(const StreamUnderTest& stream, const SeedOptions& options = {});

}  // namespace asyncio::testing
