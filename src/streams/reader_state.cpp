// The receiving side of a stream: what an operation brings, and what it means for the stream.
//
// The reader never reads ahead. An operation is in flight only while a task waits for bytes, so a
// slow program exerts back-pressure by itself: the kernel's buffer fills up, and the other end has
// to wait. (Python's reader is fed by its transport and needs `pause_reading` for this.)
//
// Results of a finished operation
//   > 0               bytes; `received` has put them into the buffer already
//   0                 the end of the stream
//   −EIO, a terminal  the end as well: the other side of the terminal is gone
//   −ECANCELED        no change: the task was cancelled, or the reader is being closed
//   any other error   the stream ends with it; every read from then on throws it
//
// Bytes belong to the reader from the moment in which they come and not to the read that asked for
// them. So a task that is cancelled while its bytes arrive loses none: the next read finds them.

#include "streams/reader_state.h"

#include <asyncio/exceptions.h>

#include <cerrno>
#include <new>
#include <utility>

#include <poll.h>
#include <sys/stat.h>

namespace asyncio::internal {
namespace {

/// As much as a pipe of Linux holds. No memory of that size is needed: the back-end has one buffer,
/// and what has come is copied. A larger number would let one stream hold the loop longer than
/// others.
constexpr std::size_t most_bytes_at_once = 64 * 1024;

}  // namespace

ReaderState::ReaderState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access)
    : StreamState(loop, std::move(fd), options, access), limit(options.limit) {}

void ReaderState::throw_busy() const {
    throw RuntimeError("another task is reading from " + name() + " already");
}

void ReaderState::throw_error() const {
    if (error_ != 0) throw OsError(error_, "read from " + name());
}

/// A shared descriptor may block, so the first operation only asks whether there is something. The
/// answer can be out of date when the read follows, because another process was faster. The read
/// then waits in the kernel under io_uring; epoll has no such help, and the thread waits. A better
/// way does not exist for a descriptor whose mode must stay.
void ReaderState::prepare(lowlevel::Operation& operation) noexcept {
    operation.fd = fd();
    operation.blocking = blocking();
    operation.size = most_bytes_at_once;
    const bool ask_first = access() == Access::shared;
    operation.kind = ask_first ? lowlevel::OperationKind::poll : lowlevel::OperationKind::read;
    operation.events = POLLIN;
    in_flight_ = &operation;
}

/// A reader that is being closed has no receiver for the bytes. Without memory for them they are
/// lost, and the stream must not continue as if they had never been: it ends with ENOMEM.
void ReaderState::received(std::span<const char> bytes) noexcept {
    if (closing()) return;
    try {
        buffer.append({bytes.data(), bytes.size()});
    } catch (const std::bad_alloc&) {
        error_ = ENOMEM;
    }
}

/// For a shared descriptor that is ready, the same operation becomes the read. After a `close` no
/// read follows: the descriptor is closed now that nothing is in flight.
bool ReaderState::take_over(lowlevel::Operation& operation) noexcept {
    const bool was_poll = operation.kind == lowlevel::OperationKind::poll;
    if (was_poll && operation.result >= 0 && !closing()) {
        operation.kind = lowlevel::OperationKind::read;
        return false;
    }
    in_flight_ = nullptr;
    note(was_poll && operation.result >= 0 ? -ECANCELED : operation.result);
    if (closing()) close_descriptor();
    return true;
}

/// A terminal whose other side is gone says EIO where a pipe says 0. A terminal is a character
/// device. For other files EIO is a real error of the device.
bool ReaderState::is_terminal() const noexcept {
    struct stat about{};
    return ::fstat(fd(), &about) == 0 && S_ISCHR(about.st_mode);
}

/// Turns a result into the state of the stream. The first end stays: nothing is read after it.
void ReaderState::note(int result) noexcept {
    if (closing() || result > 0) return;
    if (result == 0 || (result == -EIO && is_terminal())) {
        eof_ = true;
    } else if (result != -ECANCELED) {
        error_ = -result;
    }
}

/// Buffered bytes are dropped at once, so that a read that follows finds the end. The descriptor
/// has to wait for the operation in flight.
void ReaderState::close() noexcept {
    if (std::exchange(closing_, true)) return;
    buffer.drop_all();
    if (in_flight_ == nullptr) return close_descriptor();
    // The task that awaits the operation is woken by its report, and finds the end of the stream.
    loop().cancel(*in_flight_);
}

}  // namespace asyncio::internal
