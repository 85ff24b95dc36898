#include "io/reader_state.h"

#include <asyncio/exceptions.h>

#include <cerrno>
#include <new>
#include <utility>

#include <poll.h>
#include <sys/stat.h>

namespace asyncio::internal {
namespace {

/// As much as Linux's pipes hold. No memory is set aside for it: what has come is copied.
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

void ReaderState::prepare(lowlevel::Operation& operation) noexcept {
    operation.fd = fd();
    operation.blocking = blocking();
    operation.size = most_bytes_at_once;
    const bool ask_first = access() == Access::shared;
    operation.kind = ask_first ? lowlevel::OperationKind::poll : lowlevel::OperationKind::read;
    operation.events = POLLIN;
    in_flight_ = &operation;
}

void ReaderState::received(std::span<const char> bytes) noexcept {
    if (closing()) return;
    try {
        buffer.append({bytes.data(), bytes.size()});
    } catch (const std::bad_alloc&) {
        error_ = ENOMEM;
    }
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
    if (closing() || result > 0) return;
    if (result == 0 || (result == -EIO && is_terminal())) {
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
