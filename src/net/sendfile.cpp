// Sending a part of a file: by sendfile(2), or by reading and sending.
//
// The kernel copies from the page cache to the socket without a way through this process. It does
// so for regular files alone. For any other descriptor, and for a socket of a kind that does not
// support it, the bytes are read and sent here, if the caller allows it. A pipe has no places to
// read at, so it is read in order.
//
// The position of the file is moved once, at the end, also when an error or a cancellation ends the
// sending. So the caller can tell from it how far the file was sent.
//
// Each piece asks the socket for its descriptor again. The program may close the socket between two
// pieces, and the number may belong to another connection by then.
//
// A stream first sends what is buffered. If its channel is a plain socket, the kernel sends the
// file past the buffer of the stream. Through any other channel the pieces go as all bytes do. In
// both cases the writer holds back what is written meanwhile (writer_state.h).

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/socket.h>
#include <asyncio/streams.h>

#include "streams/socket_channel.h"
#include "streams/writer_state.h"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <stdexcept>

#include <unistd.h>

namespace asyncio {
namespace {

/// One system call holds the loop for about as long as this takes to copy.
constexpr std::uint64_t piece_bytes = 1024 * 1024;
/// Python's number.
constexpr std::size_t fallback_piece_bytes = 256 * 1024;

/// Whether the kernel cannot do it for such a file or such a socket. ESPIPE is its answer for a
/// pipe.
constexpr bool is_not_available(int result) noexcept {
    switch (-result) {
        case EINVAL:
        case ENOSYS:
        case EOPNOTSUPP:
        case ENOTSOCK:
        case ESPIPE: return true;
        default: return false;
    }
}

}  // namespace

namespace internal {

/// What is left to send, and where it begins. The destructor moves the position of the file.
class FilePart {
public:
    FilePart(int file, const SendfileOptions& options)
        : file_(file),
          offset_(options.offset),
          left_(options.count.value_or(std::numeric_limits<std::int64_t>::max())),
          has_places_(::lseek(file, 0, SEEK_CUR) >= 0 || errno != ESPIPE) {
        if (options.offset < 0) throw std::invalid_argument("sendfile: the offset is negative");
        if (options.count == std::uint64_t{0})
            throw std::invalid_argument("sendfile: the count must be positive");
    }
    FilePart(const FilePart&) = delete;
    FilePart& operator=(const FilePart&) = delete;
    /// A pipe has no position, and the call fails without harm.
    ~FilePart() { static_cast<void>(::lseek(file_, offset_, SEEK_SET)); }

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

    lowlevel::OperationRequest send() const noexcept {
        return {.kind = lowlevel::OperationKind::sendfile,
                .second_fd = file_,
                .size = next(piece_bytes),
                .offset = offset_};
    }
    /// With an offset, a pipe is asked for bytes at a place, which is an error.
    lowlevel::OperationRequest read_into(std::string& room) const noexcept {
        const bool at_place = has_places_ || offset_ != static_cast<std::int64_t>(sent_);
        return {.kind = at_place ? lowlevel::OperationKind::pread : lowlevel::OperationKind::read,
                .fd = file_,
                .buffer = room.data(),
                .size = next(room.size()),
                .offset = offset_};
    }
    std::string name() const { return "descriptor " + std::to_string(file_); }

private:
    int file_;
    std::int64_t offset_;
    std::uint64_t left_;
    std::uint64_t sent_ = 0;
    bool has_places_;
};

}  // namespace internal

/// Returns false if the kernel cannot do it, which it says at the first call.
Coro<bool> Socket::send_by_kernel(internal::FilePart& part) const {
    const int fd = fileno();
    while (!part.done()) {
        lowlevel::OperationRequest request = part.send();
        const int result = co_await call(request);
        if (part.sent() == 0 && is_not_available(result)) co_return false;
        if (result < 0) throw OsError(-result, "send a file to descriptor " + std::to_string(fd));
        if (result == 0) break;  // the end of the file
        part.count(static_cast<std::size_t>(result));
    }
    co_return true;
}

/// Bytes that were read and not sent do not count. The reads name a place in the file, so nothing
/// has to be undone when the sending ends early.
Coro<void> Socket::send_by_reading(internal::FilePart& part) const {
    std::string bytes(part.next(fallback_piece_bytes), '\0');
    while (!part.done()) {
        const int count = co_await lowlevel::perform(part.read_into(bytes));
        if (count < 0) throw OsError(-count, "read from " + part.name());
        if (count == 0) break;
        std::string_view unsent(bytes.data(), static_cast<std::size_t>(count));
        while (!unsent.empty()) {
            const std::size_t sent = co_await send(unsent);
            part.count(sent);
            unsent.remove_prefix(sent);
        }
    }
}

/// The first call of the kernel decides: after it has sent a byte, an error is an error of the
/// connection.
Coro<std::uint64_t> Socket::sendfile(int file, SendfileOptions options) const {
    internal::FilePart part(file, options);
    const bool done = co_await send_by_kernel(part);
    if (done) co_return part.sent();
    if (!options.fallback)
        throw SendfileNotAvailableError("the kernel cannot send " + part.name() +
                                        " to this socket");
    co_await send_by_reading(part);
    co_return part.sent();
}

// --- Streams ------------------------------------------------------------------------------------

namespace {

using WriterRef = internal::Ref<internal::WriterState>;

/// The time in which the writer holds back what is written.
class FileTurn {
public:
    explicit FileTurn(internal::WriterState& writer) : writer_(writer) { writer_.begin_file(); }
    FileTurn(const FileTurn&) = delete;
    FileTurn& operator=(const FileTurn&) = delete;
    ~FileTurn() { writer_.end_file(); }

private:
    internal::WriterState& writer_;
};

[[noreturn]] void throw_file_unsent(const internal::WriterState& writer, int error) {
    throw OsError(error, "send a file to " + writer.name());
}

/// A task may write, or begin to send a file, while this one waits. So both are looked at again.
Coro<void> send_what_is_buffered(WriterRef writer) {
    for (;;) {
        writer->require_no_file();
        if (writer->closing()) throw_file_unsent(*writer, ECONNRESET);
        if (writer->buffered_bytes() == 0) co_return;
        co_await WriterWait(writer, internal::WriterEvent::sent, writer->written());
    }
}

/// Returns false if the kernel cannot do it, which it says at the first call. An abort of the
/// stream closes the socket, and the back-end ends the operation.
Coro<bool> send_past_the_buffer(WriterRef writer, internal::FilePart& part) {
    if (dynamic_cast<internal::SocketChannel*>(&writer->channel()) == nullptr) co_return false;
    while (!part.done()) {
        lowlevel::OperationRequest request = part.send();
        request.fd = writer->channel().fd();
        request.blocking = lowlevel::Blocking::owned;
        if (request.fd < 0) throw_file_unsent(*writer, ECONNRESET);
        const int result = co_await lowlevel::perform(request);
        if (part.sent() == 0 && is_not_available(result)) co_return false;
        if (result < 0) throw_file_unsent(*writer, result == -ECANCELED ? ECONNRESET : -result);
        if (result == 0) break;  // the end of the file
        part.count(static_cast<std::size_t>(result));
    }
    co_return true;
}

/// A piece that a cancelled task has handed over will be sent, and so it counts as sent.
Coro<void> send_in_pieces(WriterRef writer, internal::FilePart& part) {
    while (!part.done()) {
        std::string bytes(part.next(fallback_piece_bytes), '\0');
        const int count = co_await lowlevel::perform(part.read_into(bytes));
        if (count < 0) throw OsError(-count, "read from " + part.name());
        if (count == 0) break;
        bytes.resize(static_cast<std::size_t>(count));
        if (writer->is_ending_at_once()) throw_file_unsent(*writer, ECONNRESET);
        writer->send_piece(std::move(bytes));
        const Outcome<void> outcome =
            co_await internal::settle(WriterWait(writer, internal::WriterEvent::piece));
        const bool was_lost = outcome.failed() && !outcome.cancelled();
        part.count(was_lost ? writer->sent_of_piece() : static_cast<std::size_t>(count));
        outcome.value();
    }
}

Coro<std::uint64_t> send_file_through(WriterRef writer, int file, SendfileOptions options) {
    constexpr auto function = "StreamWriter::sendfile()";
    writer->require_loop_of(internal::running_task(function), function);
    internal::FilePart part(file, options);
    co_await send_what_is_buffered(writer);
    const FileTurn turn(*writer);
    const bool done = co_await send_past_the_buffer(writer, part);
    if (done) co_return part.sent();
    if (!options.fallback)
        throw SendfileNotAvailableError("the kernel cannot send " + part.name() + " to " +
                                        writer->name());
    co_await send_in_pieces(writer, part);
    co_return part.sent();
}

}  // namespace

Coro<std::uint64_t> StreamWriter::sendfile(int file, SendfileOptions options) const {
    return send_file_through(shared_state(), file, options);
}

}  // namespace asyncio
