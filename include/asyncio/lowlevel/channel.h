#pragma once
// A channel carries out the reads and writes of one stream.
//
// `StreamReader` and `StreamWriter` keep buffers, limits and marks. They know neither descriptors
// nor the kernel: everything that they ask for goes to a channel. The library has a channel for
// descriptors. A program brings another one (TLS over another stream, bytes in memory, a channel
// that fails on purpose) by deriving a class from `Channel`, and everything that is built on
// streams works over it.
//
// A channel is the contract of the back-end (backend.h) once more, for one stream:
//
//  1. Every operation given to `submit` or `close` is finished exactly once. Either the call itself
//     answers `finished`, and `result` and `state` are set; or it answers `in_flight`, and later
//     the channel sets both and calls `on_finished`. The same holds after `cancel`.
//  2. `on_finished` is called by the loop: in a callback, or in the report of an operation of the
//     back-end. It is never called inside `submit`, `cancel` or `close`, whose callers are in the
//     middle of their work. `ChannelReports` does this for operations that the channel itself ends.
//  3. In between, the operation and its buffer belong to the channel, and `state` is `in_flight`.
//     The channel may link the operation into a list, and use `kind`, `fd`, `events`, `blocking`,
//     `flags` and `marks`. It does not touch the operation after the report.
//  4. Results are those of read(2) and write(2): ≥ 0, or −errno. EINTR and EAGAIN are never
//     reported. 0 is the end of the stream for a read; a write never gives 0.
//  5. A read has a buffer or a `receive`. The channel moves 1 to `size` bytes there once, in
//     `submit` or before `on_finished` (`deliver` does it). The result is their number. A read does
//     not wait for more bytes than have come.
//  6. `cancel` is a request. The result says what happened: −ECANCELED if there was no effect;
//     otherwise the bytes that were moved. A channel never drops bytes that were moved.
//  7. At most one read and one write are in flight at a time.
//
// What `close` must do. A stream closes its side once, and no operation of that side is in flight
// then or follows.
//  - `reading`: no more bytes are read. The writing side goes on.
//  - `writing`: the peer sees the end of the stream behind the bytes that were written. The reading
//    side goes on.
//  - `both`: both of these. A read that is in flight ends, and every read from then on gives 0.
// A channel that serves both sides gives up its resources when both are closed, in whatever order
// this happens. Operations of a side that is not closed must still finish: a read that can bring no
// more bytes gives 0, and a write that cannot be sent gives −EPIPE.
//
// `abort` says that the program waits for nothing any more: it has dropped the stream, or aborted
// it, or the loop closes. Operations in flight, a close included, must then end soon, and so must
// the close that follows. Bytes may be lost. A channel that waits for nothing but its own
// operations has nothing to do, because these are cancelled besides.
//
// Owners. The streams share the channel by `std::shared_ptr`. Each holds it until its last
// operation is reported, so a channel is never destroyed with an operation in flight. When the loop
// closes, the streams that are left cancel their operations and close their sides. The channel must
// be able to finish these operations without a task: no task runs any more.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/event_loop.h>
#include <asyncio/lowlevel/backend.h>
#include <asyncio/lowlevel/operation.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::lowlevel {

/// Carries out the operations of a stream. The contract is at the top of this file.
class [[gnu::visibility("default")]] Channel {
public:
    using Submitted = Backend::Submitted;
    enum class Side : std::uint8_t { reading, writing, both };

    Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    virtual ~Channel() = default;

    /// For error messages: "descriptor 7", "TLS to example.org".
    virtual std::string name() const = 0;

    /// Starts a read or a write. The kind of `operation` is one of the two.
    virtual Submitted submit(Operation& operation) noexcept = 0;

    /// Writes what goes without a wait. The result is that number of bytes, at least one, or
    /// −errno; −EAGAIN says that nothing went, and the stream then gives the bytes to `submit`. The
    /// stream calls this with at least one byte, and only while no write is in flight. The bytes
    /// are valid during the call alone. A channel that has no such way keeps this function.
    virtual int write_now(std::string_view bytes) noexcept {
        static_cast<void>(bytes);
        return -EAGAIN;
    }

    /// Asks for the early end of an operation that was started by `submit` and is not reported yet.
    /// Asking twice is allowed.
    virtual void cancel(Operation& operation) noexcept = 0;

    /// Starts the close of a side, or of both. The kind of `operation` is `close`. Its result is 0,
    /// or −errno if something that was written may be lost. The side is closed in every case. A
    /// close is never cancelled.
    virtual Submitted close(Side side, Operation& operation) noexcept = 0;

    /// Ends the patience of the channel. Called before the close that it is about, or during it.
    /// Calling twice is allowed, and so is calling after the end.
    virtual void abort() noexcept {}

    /// Whether both sides belong to one connection, as those of a socket do. `StreamWriter::close`
    /// then closes both sides, and `write_eof` only its own. The two sides of a pipe do not: the
    /// reader has still to read what the writer has written.
    virtual bool is_connection() const noexcept { return false; }

    /// Whether a stream that is dropped sends what it has buffered and then closes, and does not
    /// abort: true for the connections of a server, which waits for them. A channel over another
    /// one answers as that one does.
    virtual bool sends_rest_when_dropped() const noexcept { return false; }

    /// The addresses of a connection: of the other end, and of this one. Empty if there is none.
    virtual Address peer() const { return {}; }
    virtual Address local() const { return {}; }

    /// The descriptor behind the channel; −1 if there is none. It stays the channel's.
    virtual int fd() const noexcept { return -1; }

    /// A write has failed with this errno. A source that tells an error once has told it to the
    /// write, so the reading side has to learn of it in another way.
    virtual void note_write_error(int error) noexcept { static_cast<void>(error); }
    /// Why a read has met the end, if a write was told of it before: the errno of a connection that
    /// is broken. 0: it is the end of the stream.
    virtual int error_at_end() const noexcept { return 0; }

    /// Whether a read that failed with this errno has met the end of the stream. A terminal whose
    /// other side is gone reports EIO, for example. ECANCELED is never the end.
    virtual bool means_end(int error) const noexcept {
        static_cast<void>(error);
        return false;
    }
};

/// Moves `bytes`, at most `size` of them, to where the read wants them. For channels.
inline void deliver(Operation& read, std::span<const char> bytes) noexcept {
    if (read.receive != nullptr) return read.receive(read, bytes);
    std::memcpy(read.buffer, bytes.data(), bytes.size());
}

/// Reports operations that a channel has finished by itself, in the next iteration of the loop; or
/// when the loop closes, if that comes first. A channel has one as a member.
class ChannelReports : private internal::Ready, private internal::AtClose {
public:
    explicit ChannelReports(EventLoop& loop) noexcept;
    ChannelReports(const ChannelReports&) = delete;
    ChannelReports& operator=(const ChannelReports&) = delete;
    /// Every operation must have been reported.
    ~ChannelReports();

    /// Finishes `operation`, which is in flight and in no list, with `result`.
    void add(Operation& operation, int result) noexcept;

private:
    void deliver() noexcept;

    EventLoop& loop_;
    OperationList finished_;
};

}  // namespace asyncio::lowlevel
