#include "io/reader_state.h"

#include <asyncio/exceptions.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <sys/stat.h>

namespace asyncio::internal {
namespace {

/// Most children of most programs print a line or two.
constexpr std::size_t first_chunk_bytes = 4 * 1024;
/// What Linux's pipes hold.
constexpr std::size_t largest_chunk_bytes = 64 * 1024;

}  // namespace

ReaderState::ReaderState(EventLoop& loop, lowlevel::Fd fd, const StreamOptions& options,
                         Access access)
    : StreamState(loop, std::move(fd), options, access),
      limit(options.limit),
      chunk_bytes_(first_chunk_bytes) {}

void ReaderState::throw_busy() const {
    throw RuntimeError("another task is reading from " + name() + " already");
}

void ReaderState::throw_error() const {
    if (error_ != 0) throw OsError(error_, "read from " + name());
}

void ReaderState::prepare(lowlevel::Operation& operation, std::size_t wanted_bytes) {
    room_ =
        buffer.begin_receive(std::max(chunk_bytes_, std::min(wanted_bytes, largest_chunk_bytes)));
    operation.fd = fd();
    operation.buffer = room_.data();
    operation.size = room_.size();
    const bool ask_first = access() == Access::shared;
    operation.kind = ask_first ? lowlevel::OperationKind::poll : lowlevel::OperationKind::read;
    operation.events = POLLIN;
    in_flight_ = &operation;
}

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

/// A terminal whose other side is gone says EIO where a pipe says 0.
bool ReaderState::is_terminal() const noexcept {
    struct stat about{};
    return ::fstat(fd(), &about) == 0 && S_ISCHR(about.st_mode);
}

void ReaderState::note(int result) noexcept {
    buffer.end_receive(result > 0 ? static_cast<std::size_t>(result) : 0);
    if (closing()) return buffer.drop_all();
    if (result > 0) {
        const bool filled = static_cast<std::size_t>(result) == room_.size();
        if (filled) chunk_bytes_ = std::min(2 * room_.size(), largest_chunk_bytes);
    } else if (result == 0 || (result == -EIO && is_terminal())) {
        eof_ = true;
    } else if (result != -ECANCELED) {
        error_ = -result;
    }
}

void ReaderState::close() noexcept {
    if (std::exchange(closing_, true)) return;
    buffer.drop_all();
    if (in_flight_ == nullptr) return close_descriptor();
    // Whoever awaits it is told of the end when it has been reported.
    loop().cancel(*in_flight_);
}

}  // namespace asyncio::internal
