#pragma once
// The reading end of a stream: what has come, and whether more can.
//
// Two things are kept apart. The *turn* belongs to the one read that is being carried out, however
// many operations that takes; a second read finds it taken. The *operation* is the one in flight,
// in the frame of whoever awaits it; closing must end it first.
//
// Thread-safety: none.

#include "io/byte_buffer.h"
#include "io/stream_state.h"

#include <span>
#include <utility>

namespace asyncio::internal {

class ReaderState final : public StreamState {
public:
    ReaderState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access);

    /// Held by a coroutine that reads. Throws: RuntimeError if somebody else does; the error with
    /// which the stream ended.
    class Turn {
    public:
        explicit Turn(ReaderState& reader) : reader_(reader) {
            reader.throw_error();
            if (!reader.begin_turn()) reader.throw_busy();
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn() { reader_.end_turn(); }

    private:
        ReaderState& reader_;
    };

    /// False if another read is being carried out.
    bool begin_turn() noexcept { return !std::exchange(has_reader_, true); }
    [[noreturn]] void throw_busy() const;
    void end_turn() noexcept { has_reader_ = false; }

    /// Nothing will come any more, because of the end, an error, or a `close`.
    bool ended() const noexcept { return eof_ || error_ != 0 || closing(); }
    void throw_error() const;

    /// Fills in the operation that receives more, but for its `receive`.
    void prepare(lowlevel::Operation& operation) noexcept;
    /// Bytes have come. Without memory for them, the stream ends with ENOMEM.
    void received(std::span<const char> bytes) noexcept;
    /// The operation has ended: takes over what it brought. False if it was only the wait for
    /// readiness; then it has become the read, and is to be submitted.
    bool take_over(lowlevel::Operation& operation) noexcept;

    void close() noexcept;

    ByteBuffer buffer;
    const std::size_t limit;

private:
    void shut() noexcept override { close(); }
    void closed(int) noexcept override {}
    void note(int result) noexcept;
    bool is_terminal() const noexcept;

    lowlevel::Operation* in_flight_ = nullptr;
    int error_ = 0;
    bool eof_ = false;
    bool has_reader_ = false;
};

}  // namespace asyncio::internal
