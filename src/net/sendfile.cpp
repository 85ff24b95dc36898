// Sending a part of a file: by sendfile(2), or by reading and sending.
//
// The kernel copies from the page cache to the socket without a way through this process. It does
// so for regular files alone. For any other descriptor, and for a socket of a kind that does not
// support it, the bytes are read and sent here, if the caller allows it.
//
// The position of the file is moved once, at the end, also when an error or a cancellation ends the
// sending. So the caller can tell from it how far the file was sent.

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include <unistd.h>

namespace asyncio {
namespace {

/// One system call holds the loop for about as long as this takes to copy.
constexpr std::uint64_t piece_bytes = 1024 * 1024;
/// Python's number.
constexpr std::size_t fallback_piece_bytes = 256 * 1024;

/// What is left to send, and where it begins. The destructor moves the position of the file.
class Part {
public:
    Part(int file, const SendfileOptions& options)
        : file_(file),
          offset_(options.offset),
          left_(options.count.value_or(std::numeric_limits<std::int64_t>::max())) {
        if (options.offset < 0) throw std::invalid_argument("sendfile: the offset is negative");
        if (options.count == std::uint64_t{0})
            throw std::invalid_argument("sendfile: the count must be positive");
    }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    /// A pipe has no position, and the call fails without harm.
    ~Part() { static_cast<void>(::lseek(file_, offset_, SEEK_SET)); }

    int file() const noexcept { return file_; }
    std::int64_t offset() const noexcept { return offset_; }
    bool done() const noexcept { return left_ == 0; }
    std::uint64_t sent() const noexcept { return sent_; }
    std::size_t next(std::uint64_t most) const noexcept {
        return static_cast<std::size_t>(std::min(left_, most));
    }
    void count(std::size_t bytes) noexcept {
        offset_ += static_cast<std::int64_t>(bytes);
        left_ -= bytes;
        sent_ += bytes;
    }

private:
    int file_;
    std::int64_t offset_;
    std::uint64_t left_;
    std::uint64_t sent_ = 0;
};

constexpr bool is_not_available(int result) noexcept {
    return result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP || result == -ENOTSOCK;
}

/// Returns false if the kernel cannot do it, which it says at the first call.
Coro<bool> send_by_kernel(int socket, Part& part) {
    while (!part.done()) {
        const int result = co_await lowlevel::perform({.kind = lowlevel::OperationKind::sendfile,
                                                       .fd = socket,
                                                       .second_fd = part.file(),
                                                       .size = part.next(piece_bytes),
                                                       .offset = part.offset()});
        if (part.sent() == 0 && is_not_available(result)) co_return false;
        if (result < 0)
            throw OsError(-result, "send a file to descriptor " + std::to_string(socket));
        if (result == 0) break;  // the end of the file
        part.count(static_cast<std::size_t>(result));
    }
    co_return true;
}

/// Bytes that were read and not sent do not count.
Coro<void> send_by_reading(const Socket& socket, Part& part) {
    std::string bytes(part.next(fallback_piece_bytes), '\0');
    while (!part.done()) {
        const int count = co_await lowlevel::perform({.kind = lowlevel::OperationKind::pread,
                                                      .fd = part.file(),
                                                      .buffer = bytes.data(),
                                                      .size = part.next(bytes.size()),
                                                      .offset = part.offset()});
        if (count < 0) throw OsError(-count, "read from descriptor " + std::to_string(part.file()));
        if (count == 0) break;
        std::string_view unsent(bytes.data(), static_cast<std::size_t>(count));
        while (!unsent.empty()) {
            const std::size_t sent = co_await socket.send(unsent);
            part.count(sent);
            unsent.remove_prefix(sent);
        }
    }
}

}  // namespace

Coro<std::uint64_t> Socket::sendfile(int file, SendfileOptions options) const {
    Part part(file, options);
    const bool done = co_await send_by_kernel(fileno(), part);
    if (done) co_return part.sent();
    if (!options.fallback)
        throw SendfileNotAvailableError("the kernel cannot send descriptor " +
                                        std::to_string(file) + " to this socket");
    co_await send_by_reading(*this, part);
    co_return part.sent();
}

}  // namespace asyncio
