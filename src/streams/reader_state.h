#pragma once
// The reading end of a stream: the bytes that have come, and whether more can come.
//
// The channel decides where the bytes come from. The reader asks the channel for more bytes, and
// keeps those that come.
//
// Two things are kept apart. A *reading* is one call of the program, however many operations it
// needs. There is one at a time, and a second call throws: two readings would each get a random
// part of the bytes. The *operation* is the one in flight. It lies in the frame of the coroutine
// that awaits it, so closing must end it first and must not free anything.
//
// Thread-safety: none.

#include "streams/byte_buffer.h"
#include "streams/stream_state.h"

#include <span>
#include <utility>

namespace asyncio::internal {

class ReaderState : public StreamState {
public:
    ReaderState(EventLoop& loop, ChannelPtr channel, const StreamOptions& options);

    /// Held by a coroutine that reads, until it ends in any way. Throws: RuntimeError if another
    /// one holds it; the error with which the stream ended. The error comes first, so that every
    /// read of a broken stream says why.
    class Reading {
    public:
        explicit Reading(ReaderState& reader) : reader_(reader) {
            reader.throw_error();
            if (!reader.begin_reading()) reader.throw_busy();
        }
        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;
        ~Reading() { reader_.end_reading(); }

    private:
        ReaderState& reader_;
    };

    /// False if another read is being carried out.
    bool begin_reading() noexcept { return !std::exchange(has_reader_, true); }
    [[noreturn]] void throw_busy() const;
    void end_reading() noexcept { has_reader_ = false; }

    /// Whether no more bytes will come, because of the end, an error, or a `close`. The buffer may
    /// still hold some.
    bool ended() const noexcept { return eof_ || error_ != 0 || closing(); }
    void throw_error() const;

    /// How many bytes a read without memory of its own asks for: as much as a pipe of Linux holds.
    /// No memory of that size is needed, because the back-end has one buffer, and what has come is
    /// copied. A larger number would let one stream hold the loop longer than others.
    static constexpr std::size_t most_bytes_at_once = 64 * 1024;

    /// Asks the channel for up to `size` bytes. The callbacks and the memory of the operation are
    /// the awaiter's. True if the operation has finished within the call; its result is taken over
    /// then.
    bool ask(lowlevel::Operation& operation, std::size_t size) noexcept;
    /// Bytes have come. Without memory for them, the stream ends with ENOMEM.
    void received(std::span<const char> bytes) noexcept;
    /// The operation has ended: takes over its result.
    void take_over(const lowlevel::Operation& operation) noexcept;

    void close() noexcept;
    /// Whether no read is being carried out and the stream has not ended.
    bool can_detach() const noexcept { return !has_reader_ && error_ == 0 && !closing(); }

    /// The bytes that have come and were not taken. A reading uses the buffer directly: there
    /// is one at a time.
    ByteBuffer buffer;
    /// How long a chunk of `readline` and `readuntil` may be, in bytes.
    const std::size_t limit;

private:
    void shut() noexcept override { close(); }
    void closed(int) noexcept override {}
    void note(int result) noexcept;

    /// The operation in flight, which `close` has to cancel. It belongs to an awaiter.
    lowlevel::Operation* in_flight_ = nullptr;
    /// The errno with which the stream ended; 0 while there is none.
    int error_ = 0;
    /// The end was seen. No further read is made: a terminal would wait for input again.
    bool eof_ = false;
    /// A reading is being carried out.
    bool has_reader_ = false;
};

}  // namespace asyncio::internal
