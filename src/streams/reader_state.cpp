// The receiving side of a stream: what an operation brings, and what it means for the stream.
//
// The reader never reads ahead. An operation is in flight only while a task waits for bytes, so a
// slow program exerts back-pressure by itself: the kernel's buffer fills up, and the other end has
// to wait. (Python's reader is fed by its transport and needs `pause_reading` for this.)
//
// Results of a finished operation
//   > 0               bytes; `received` has put them into the buffer already
//   0                 the end of the stream; or an error that a write was told of (`error_at_end`)
//   −ECANCELED        no change: the task was cancelled, or the reader is being closed
//   any other error   the end as well, if the channel says so (`means_end`); otherwise the stream
//                     ends with the error, and every read from then on throws it
//
// Bytes that arrive belong to the reader at once, and not to the read that asked for them. So a
// task that is cancelled while its bytes arrive loses none: the next read finds them.

#include "streams/reader_state.h"

#include <asyncio/exceptions.h>

#include <cerrno>
#include <new>
#include <utility>

namespace asyncio::internal {

ReaderState::ReaderState(EventLoop& loop, ChannelPtr channel, const StreamOptions& options)
    : StreamState(loop, std::move(channel), options), limit(options.limit) {}

void ReaderState::throw_busy() const {
    throw RuntimeError("another task is reading from " + name() + " already");
}

void ReaderState::throw_error() const {
    if (error_ != 0) throw OsError(error_, "read from " + name());
}

/// While the operation is in flight, an empty buffer frees its memory: the wait may last for hours.
bool ReaderState::ask(lowlevel::Operation& operation, std::size_t size) noexcept {
    operation.kind = lowlevel::OperationKind::read;
    operation.size = size;
    in_flight_ = &operation;
    if (channel().submit(operation) == lowlevel::Channel::Submitted::in_flight) {
        buffer.forget_if_empty();
        return false;
    }
    take_over(operation);
    return true;
}

/// A reader that is being closed drops the bytes. If there is no memory for the bytes, they are
/// lost. The stream must not continue without them, so it ends with ENOMEM.
void ReaderState::received(std::span<const char> bytes) noexcept {
    if (closing()) return;
    try {
        buffer.append({bytes.data(), bytes.size()});
    } catch (const std::bad_alloc&) {
        error_ = ENOMEM;
    }
}

/// After a `close`, the side is closed here, because no operation is in flight any more.
void ReaderState::take_over(const lowlevel::Operation& operation) noexcept {
    in_flight_ = nullptr;
    note(operation.result);
    if (closing()) close_side(lowlevel::Channel::Side::reading);
}

/// Turns a result into the state of the stream. The first end or error stays, because nothing is
/// read after it.
void ReaderState::note(int result) noexcept {
    if (closing() || result > 0) return;
    if (result == 0 || (result != -ECANCELED && channel().means_end(-result))) {
        error_ = channel().error_at_end();
        eof_ = error_ == 0;
    } else if (result != -ECANCELED) {
        error_ = -result;
    }
}

/// Buffered bytes are dropped at once, so that the next read finds the end. The side can be closed
/// only after the operation in flight.
void ReaderState::close() noexcept {
    if (std::exchange(closing_, true)) return;
    buffer.drop_all();
    if (in_flight_ == nullptr) return close_side(lowlevel::Channel::Side::reading);
    // The task that awaits the operation is woken by its report, and finds the end of the stream.
    channel().cancel(*in_flight_);
}

}  // namespace asyncio::internal
