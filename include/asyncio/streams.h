#pragma once
// Byte streams over descriptors: `StreamReader`, `StreamWriter`, and pipes made of them.
//
// A reader is pulled: it asks the kernel only while somebody reads, and keeps what came beyond what
// was asked for. So its memory is bounded by its reader, and a cancelled read has taken nothing
// away: the next one goes on where it began.
// A writer has a buffer in front of the kernel. `write` puts into it and never waits; `drain` waits
// while there is too much in it; `send` is both, and is what most programs want.
//
// A handle owns its descriptor, and there is one handle for each. The descriptor is closed exactly
// once, and never while an operation is in flight on it: closing first ends the operation and
// collects it. When the loop closes, so do the streams that are left.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/internal/future_base.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/operation_awaiter.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ranges>
#include <span>
#include <string>
#include <string_view>

namespace asyncio {

/// How much a reader looks through for a separator, unless told otherwise. Python's number.
inline constexpr std::size_t default_stream_limit_bytes = 64 * 1024;

struct StreamOptions {
    /// The longest line or chunk `readline` and `readuntil` accept, without its separator. In
    /// bytes. Other reads are not bound by it.
    std::size_t limit = default_stream_limit_bytes;
    /// What errors call the stream; copied. Empty: "descriptor N".
    std::string_view name = {};
    /// The open file behind the descriptor is in use by other programs too, as that of a terminal
    /// is. It is not switched to non-blocking mode, which would surprise them; readiness is waited
    /// for before every call instead. 0, 1 and 2 are always treated so, and never closed.
    bool shared = false;
};

namespace internal {

class ReaderState;
class WriterState;
class ProcessState;

/// Awaits more bytes than there are, or the end, or an error; all of them go to the reader, whose
/// they are from the moment in which the operation is reported. So bytes that arrive together with
/// a cancellation stay in the stream.
class ReceiveAwaiter : public lowlevel::OperationAwaiter {
public:
    explicit ReceiveAwaiter(Ref<ReaderState> reader) noexcept;
    ~ReceiveAwaiter();

    bool await_ready();
    void await_resume() { result(); }

protected:
    Ref<ReaderState> reader_;

private:
    bool submit_until_over() noexcept;
    static void received(lowlevel::Operation& operation, std::span<const char> bytes) noexcept;
    static void reported(lowlevel::Operation& operation) noexcept;
};

/// Awaits what `read(n)` promises, and takes it out of the reader.
class ReadAwaiter final : public ReceiveAwaiter {
public:
    ReadAwaiter(Ref<ReaderState> reader, std::size_t most_bytes) noexcept;
    ~ReadAwaiter();

    bool await_ready();
    std::string await_resume();

private:
    void end_turn() noexcept;

    std::size_t most_bytes_;
    bool has_turn_ = false;
};

/// What a task waits for when it waits for a writer.
enum class WriterEvent : std::uint8_t {
    drained,  ///< What is buffered is down to the low mark, or never was above the high one.
    sent,     ///< Everything up to a mark is with the kernel.
    closed,   ///< The descriptor is closed.
};

class WriterAwaiter final : public lowlevel::Waiter {
public:
    WriterAwaiter(Ref<WriterState> writer, WriterEvent event, std::uint64_t mark) noexcept;
    ~WriterAwaiter();

    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        if (yields_) return yield(coroutine);
        stand_in_line();
        waited_ = true;
        park(coroutine, &abort);
    }
    void await_resume();

private:
    friend WriterState;
    struct Place : ListNode {
        WriterAwaiter* awaiter = nullptr;
    };

    /// Throws: RuntimeError outside a task, and if the writer belongs to another loop.
    void stand_in_line();
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;

    Ref<WriterState> writer_;
    /// In the writer's line until the event, or a cancellation, comes.
    Place place_;
    /// For `sent`: how many bytes of the whole stream must be with the kernel.
    std::uint64_t mark_;
    WriterEvent event_;
    bool waited_ = false;
    /// There is nothing to wait for, but it is somebody else's turn.
    bool yields_ = false;
};

}  // namespace internal

/// What `StreamReader::read(n)` returns: `co_await` gives a `std::string`.
class [[nodiscard]] Read {
public:
    Read(internal::Ref<internal::ReaderState> reader, std::size_t most_bytes) noexcept;
    Read(const Read&) noexcept;
    Read& operator=(const Read&) = delete;
    ~Read();
    internal::ReadAwaiter operator co_await() const;

private:
    internal::Ref<internal::ReaderState> reader_;
    std::size_t most_bytes_;
};

/// What the awaited functions of `StreamWriter` return.
class [[nodiscard]] WriterWait {
public:
    WriterWait(internal::Ref<internal::WriterState> writer, internal::WriterEvent event,
               std::uint64_t mark = 0) noexcept;
    WriterWait(const WriterWait&) noexcept;
    WriterWait& operator=(const WriterWait&) = delete;
    ~WriterWait();
    internal::WriterAwaiter operator co_await() const;

private:
    internal::Ref<internal::WriterState> writer_;
    std::uint64_t mark_;
    internal::WriterEvent event_;
};

/// The reading end of a byte stream. A handle; one that was default-constructed or moved from
/// refers to no stream, is false, and throws RuntimeError when it is used.
///
/// One reader at a time: a read that begins while another waits throws RuntimeError.
/// Errors: every read throws OsError for what the system refuses, and so do all later ones. A
/// hang-up of a terminal (EIO) is the end of the stream, not an error.
/// Cancellation: every read is a cancellation point if it must wait; bytes that have come stay in
/// the stream, in order. A read that finds what it wants in the buffer does not yield.
/// Python: `asyncio.StreamReader`. It has no `feed_data`, and reads only when asked to.
class StreamReader {
public:
    StreamReader() noexcept;
    /// Takes over `fd`, which must be in non-blocking mode. `connect_read_pipe` sees to that.
    StreamReader(EventLoop& loop, lowlevel::Fd fd, StreamOptions options = {});
    StreamReader(StreamReader&& other) noexcept;
    StreamReader& operator=(StreamReader&& other) noexcept;
    /// `close()`.
    ~StreamReader();

    explicit operator bool() const noexcept;

    /// At most `most_bytes`, as soon as there are any. Returns "" at the end of the stream only, or
    /// if nothing was asked for. Throws: `std::invalid_argument` for what was a negative number.
    Read read(std::size_t most_bytes) const;

    /// Everything until the end of the stream; the limit does not apply.
    Coro<std::string> read() const;

    /// One line with its '\n'; at the end of the stream what is left, at last "".
    /// Throws: LimitOverrunError when the line is longer than the limit. It stays in the buffer.
    /// (Python's `readline` discards it.)
    Coro<std::string> readline() const;

    /// Exactly `bytes` bytes, beyond the limit too. Throws: IncompleteReadError with what there was
    /// if the stream ends before; `std::invalid_argument` for what was a negative number.
    Coro<std::string> readexactly(std::size_t bytes) const;

    /// Everything up to and including `separator`, which must not be empty. Throws:
    /// LimitOverrunError (the data stays), IncompleteReadError, `std::invalid_argument`.
    Coro<std::string> readuntil(std::string_view separator) const;
    /// The same for the separator among several that ends first. They are copied.
    Coro<std::string> readuntil(std::span<const std::string_view> separators) const;
    /// Two string literals in braces would be taken for the two ends of one string.
    Coro<std::string> readuntil(std::initializer_list<std::string_view>) const = delete;

    /// What has come and nobody has asked for yet. Never waits, and takes it out of the stream.
    std::string take_buffered() const;

    /// The end was reached and nothing is left in the buffer.
    bool at_eof() const;

    /// No more reads: the descriptor is closed, what is buffered is dropped, and a read that waits
    /// gets the end of the stream. Closing twice is allowed.
    void close() const noexcept;
    bool is_closing() const;

private:
    friend class internal::ProcessState;
    friend StreamReader connect_read_pipe(lowlevel::Fd fd, StreamOptions options);
    explicit StreamReader(internal::Ref<internal::ReaderState> state) noexcept;

    internal::ReaderState& state() const;
    internal::Ref<internal::ReaderState> shared_state() const;
    /// A second handle, which leaves the closing to this one.
    StreamReader alias() const noexcept;
    void drop() const noexcept;

    internal::Ref<internal::ReaderState> state_;
    bool is_alias_ = false;
};

/// The writing end of a byte stream. A handle, as `StreamReader`.
///
/// Errors: what the system refuses, at any time after `write` (EPIPE when nobody reads any more),
/// is thrown as OsError by every `drain`, `send` and `wait_closed` from then on; what is buffered,
/// and what is written later, is dropped.
/// Python: `asyncio.StreamWriter`, and the `set_write_buffer_limits` of its transport.
class StreamWriter {
public:
    StreamWriter() noexcept;
    /// Takes over `fd`, which must be in non-blocking mode. `connect_write_pipe` sees to that.
    StreamWriter(EventLoop& loop, lowlevel::Fd fd, StreamOptions options = {});
    StreamWriter(StreamWriter&& other) noexcept;
    StreamWriter& operator=(StreamWriter&& other) noexcept;
    /// `abort()`, unless `close()` was called, which then goes on. Debug mode logs bytes that are
    /// lost that way.
    ~StreamWriter();

    explicit operator bool() const noexcept;

    /// Hands `data` to the kernel, and keeps a copy of what it does not take at once. Never waits,
    /// so a program that writes without ever waiting for `drain` fills its memory.
    /// After `close`, or an error, it does nothing.
    void write(std::string_view data) const;
    /// The same without a copy.
    template <std::same_as<std::string> Text>
    void write(Text&& data) const {
        write_string(std::forward<Text>(data));
    }
    /// One write of all of them. Python: `writelines`.
    template <std::ranges::input_range Range>
        requires std::convertible_to<std::ranges::range_reference_t<Range>, std::string_view>
    void writelines(Range&& pieces) const {
        std::string all;
        for (auto&& piece : pieces) all += std::string_view(piece);
        write_string(std::move(all));
    }

    /// Waits while more is buffered than the high mark, until it is down to the low one. Returns at
    /// once otherwise. Many tasks may wait.
    /// Throws: OsError; ECONNRESET if the stream is closed.
    /// Cancellation: a cancellation point if it must wait; what was written stays written.
    WriterWait drain() const;

    /// Writes `data` and waits until the kernel has all of it.
    ///
    /// Throws: as `drain`.
    /// Cancellation: a cancellation point if it must wait. `data` is on its way then and will be
    /// sent whole: a message is not torn apart.
    WriterWait send(std::string_view data) const;
    template <std::same_as<std::string> Text>
    WriterWait send(Text&& data) const {
        write_string(std::forward<Text>(data));
        return all_sent();
    }

    /// The reader is to see the end after what is buffered. A pipe has no other way to say so than
    /// to be closed, so for pipes this is `close`.
    void write_eof() const noexcept { close(); }

    /// Sends what is buffered, then closes the descriptor. Does not wait. Closing twice is allowed.
    void close() const noexcept;
    /// Closes now; what is buffered is lost.
    void abort() const noexcept;
    /// `close` or `abort` was called, or nobody reads any more.
    bool is_closing() const;

    /// Waits until the descriptor is closed. Throws: OsError if the stream ended with one.
    /// Cancellation: a cancellation point if it must wait; the closing goes on.
    WriterWait wait_closed() const;

    std::size_t get_write_buffer_size() const;
    /// In bytes. At the beginning 64 KiB and 16 KiB. Throws: `std::invalid_argument` if low is
    /// above high.
    void set_write_buffer_limits(std::size_t high, std::size_t low) const;

private:
    friend class internal::ProcessState;
    friend StreamWriter connect_write_pipe(lowlevel::Fd fd, StreamOptions options);
    explicit StreamWriter(internal::Ref<internal::WriterState> state) noexcept;

    internal::WriterState& state() const;
    internal::Ref<internal::WriterState> shared_state() const;
    void write_string(std::string&& data) const;
    WriterWait all_sent() const;
    /// A second handle, which leaves the closing to this one.
    StreamWriter alias() const noexcept;
    void drop() const noexcept;

    internal::Ref<internal::WriterState> state_;
    bool is_alias_ = false;
};

/// A reader of `fd` on the running loop, for a pipe, terminal, socket, FIFO or file that was opened
/// elsewhere. Switches it to non-blocking mode unless it is shared.
///
/// A regular file is read directly, and may hold up the loop while the disk works.
/// Throws: OsError if `fd` is no open descriptor; RuntimeError if no loop runs.
/// Python: `loop.connect_read_pipe`, without the protocol.
StreamReader connect_read_pipe(lowlevel::Fd fd, StreamOptions options = {});

/// The same for writing. Python: `loop.connect_write_pipe`.
StreamWriter connect_write_pipe(lowlevel::Fd fd, StreamOptions options = {});

/// The two ends of a pipe.
struct Pipe {
    StreamReader reader;
    StreamWriter writer;
};

/// Makes a pipe; on the simulated back-end, one in memory. Throws: OsError.
/// Cancellation: does not wait in practice; if the pipe was made, it is returned.
/// Source: pipe(7).
Coro<Pipe> open_pipe(StreamOptions options = {});

}  // namespace asyncio
