#pragma once
// Byte streams: `StreamReader`, `StreamWriter`, and pipes made of them.
//
// A stream speaks to a channel (`lowlevel/channel.h`), which carries out its reads and writes. The
// library makes channels over descriptors. A program can bring another one, over bytes in memory or
// over another stream, and everything below works over it in the same way.
//
// A reader asks its channel only while a task reads, and keeps the bytes that came beyond what was
// asked for. So its memory is bounded by what the program asks for, and a cancelled read has taken
// nothing away: the next read continues where it began. Python's reader is filled by a transport
// whether the program reads or not, so it has to pause the transport when too much has come.
//
// A writer has a buffer in front of its channel. `write` puts bytes into it and never waits.
// `drain` waits while too much is in it. `send` does both, and is what most programs want.
//
// A handle owns its descriptor, and there is one handle for each stream. The descriptor is closed
// exactly once, and never while an operation on it is in flight: a `close` first ends the operation
// and waits for its report. The reason is that the kernel gives the number of a closed descriptor
// to the next file that is opened, and an operation that is still in flight would then reach the
// wrong file. When the loop closes, it closes the streams that are left.
//
// Behind the handle stands a state with a reference count (`ReaderState`, `WriterState` in
// `src/streams/`). Awaiters and operations in flight hold references, so the handle may be
// destroyed at any time.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/internal/core/future_base.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/sendfile.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>

namespace asyncio {

namespace lowlevel {
class Channel;
}

/// How many bytes a reader searches for a separator, unless the options say otherwise. Python's
/// number.
inline constexpr std::size_t default_stream_limit_bytes = 64 * 1024;

/// How a stream is made.
struct StreamOptions {
    /// The longest line or chunk that `readline` and `readuntil` accept, in bytes, without the
    /// separator. Other reads ignore the limit.
    std::size_t limit = default_stream_limit_bytes;
    /// The name of the stream in errors. It is copied. Empty: the name of the channel, which is
    /// "descriptor N" for a descriptor.
    std::string_view name = {};
    /// Other programs use the open file behind the descriptor, too; a terminal is an example. The
    /// file is then not switched to non-blocking mode, because the mode would change for the other
    /// programs as well. Instead the stream waits for readiness before every call. The descriptors
    /// 0, 1 and 2 are always treated like this, and are never closed.
    bool shared = false;
};

class Stream;

namespace internal {

class ReaderState;
class WriterState;
class ProcessState;
struct ServerClient;

/// Waits until more bytes have come, or the end, or an error. The bytes go into the reader's buffer
/// when the operation is reported, not when the task resumes. So bytes that arrive together with a
/// cancellation stay in the stream.
class ReceiveAwaiter : public lowlevel::OperationAwaiter {
public:
    explicit ReceiveAwaiter(Ref<ReaderState> reader) noexcept;
    ~ReceiveAwaiter();

    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        suspend(coroutine, &abort);
    }
    void await_resume() { result(); }

protected:
    /// As `await_ready`, with memory for the bytes. Without it they go to the reader's buffer.
    bool receive(std::span<char> room);

    Ref<ReaderState> reader_;

private:
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;
    static void received(lowlevel::Operation& operation, std::span<const char> bytes) noexcept;
    static void reported(lowlevel::Operation& operation) noexcept;
};

/// The awaiter of `read(n)`: waits for bytes if the buffer is empty, and takes them out of the
/// buffer.
class ReadAwaiter final : public ReceiveAwaiter {
public:
    ReadAwaiter(Ref<ReaderState> reader, std::size_t most_bytes) noexcept;
    ~ReadAwaiter();

    bool await_ready();
    std::string await_resume();

private:
    void end_reading() noexcept;

    std::size_t most_bytes_;
    bool is_reading_ = false;
};

/// The awaiter of `read_into`: as `ReadAwaiter`, but the bytes go directly into the caller's
/// memory.
class ReadIntoAwaiter final : public ReceiveAwaiter {
public:
    ReadIntoAwaiter(Ref<ReaderState> reader, std::span<char> room) noexcept;
    ~ReadIntoAwaiter();

    bool await_ready();
    std::size_t await_resume();

private:
    void end_reading() noexcept;

    std::span<char> room_;
    bool is_reading_ = false;
};

/// The event of a writer that a task waits for.
enum class WriterEvent : std::uint8_t {
    drained,  ///< The buffer is down to the low mark, or never was above the high one.
    sent,     ///< The kernel has taken everything up to a mark.
    closed,   ///< The side is closed.
    piece,    ///< The kernel has taken the piece of a file that was given to it.
};

/// The awaiter of `drain`, `send` and `wait_closed`. It stands in a line of the writer, with the
/// event for which it waits.
class WriterAwaiter final : public lowlevel::LineWaiter {
public:
    WriterAwaiter(Ref<WriterState> writer, WriterEvent event, std::uint64_t mark) noexcept;
    ~WriterAwaiter();

    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        if (yields_) return yield(coroutine);
        lowlevel::Line& waiting = line();
        waited_ = true;
        wait_in(waiting, coroutine);
    }
    void await_resume();

private:
    friend WriterState;

    /// The line of the writer. Throws: RuntimeError outside a task, and if the writer belongs to
    /// another loop.
    lowlevel::Line& line();

    Ref<WriterState> writer_;
    /// For `sent`: how many bytes of the whole stream must be with the kernel.
    std::uint64_t mark_;
    WriterEvent event_;
    bool waited_ = false;
    /// The event has come already, but the task has had its share of operations without a wait, and
    /// yields once.
    bool yields_ = false;
};

}  // namespace internal

/// The return type of `StreamReader::read(n)`: `co_await` gives a `std::string`.
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

/// The return type of `StreamReader::read_into`: `co_await` gives the number of bytes.
class [[nodiscard]] ReadInto {
public:
    ReadInto(internal::Ref<internal::ReaderState> reader, std::span<char> room) noexcept;
    ReadInto(const ReadInto&) noexcept;
    ReadInto& operator=(const ReadInto&) = delete;
    ~ReadInto();
    internal::ReadIntoAwaiter operator co_await() const;

private:
    internal::Ref<internal::ReaderState> reader_;
    std::span<char> room_;
};

/// The lines of a stream, one after the other: the return type of `StreamReader::lines`.
/// Python: `async for line in reader`.
class Lines {
public:
    explicit Lines(internal::Ref<internal::ReaderState> reader) noexcept;
    Lines(const Lines&) noexcept;
    Lines& operator=(const Lines&) = delete;
    ~Lines();

    /// The next line, with its '\n'; nothing at the end of the stream. Otherwise as `readline`.
    Coro<std::optional<std::string>> next() const;

private:
    internal::Ref<internal::ReaderState> reader_;
};

/// The return type of the awaited functions of `StreamWriter`.
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

/// The reading end of a byte stream. A handle that was default-constructed or moved from refers to
/// no stream. It is false, and throws RuntimeError when it is used.
///
/// Only one task may read at a time: a read that begins while another read waits throws
/// RuntimeError. Errors: a read throws OsError when the system reports an error, and so do all
/// later reads. The hang-up of a terminal (EIO) is the end of the stream, not an error.
/// Cancellation: every read is a cancellation point if it must wait. Bytes that have come stay in
/// the stream, in order. A read that finds what it needs in the buffer does not yield.
/// Python: `asyncio.StreamReader`. Differences: there is no `feed_data`, and the stream reads only
/// when the program asks for bytes.
class StreamReader {
public:
    /// Refers to no stream.
    StreamReader() noexcept;
    /// Takes `fd` over. It must be in non-blocking mode; `connect_read_pipe` makes it so.
    StreamReader(EventLoop& loop, lowlevel::Fd fd, StreamOptions options = {});
    /// Reads from `channel`, for streams that are no descriptors. The stream holds the channel
    /// until its last operation has ended, and closes the reading side when the handle is closed or
    /// dropped. A `StreamWriter` may share the channel. `options.shared` has no meaning here.
    /// Throws: `std::invalid_argument` if there is no channel; RuntimeError if the loop is closed.
    StreamReader(EventLoop& loop, std::shared_ptr<lowlevel::Channel> channel,
                 StreamOptions options = {});
    StreamReader(StreamReader&& other) noexcept;
    StreamReader& operator=(StreamReader&& other) noexcept;
    /// `close()`.
    ~StreamReader();

    explicit operator bool() const noexcept;

    /// Reads at most `most_bytes` bytes, and returns as soon as there are any. Returns "" only at
    /// the end of the stream, or if `most_bytes` is 0. Throws: `std::invalid_argument` for a number
    /// that was negative before its conversion.
    Read read(std::size_t most_bytes) const;

    /// Reads everything until the end of the stream. The limit does not apply.
    Coro<std::string> read() const;

    /// As `read(room.size())`, into the caller's memory, which must live until the await returns,
    /// also when the task is cancelled. The kernel writes into it without a copy in between.
    /// Returns how many bytes were read; 0 at the end of the stream, or if `room` is empty.
    ReadInto read_into(std::span<char> room) const;

    /// The lines of the stream: `auto lines = reader.lines(); while (auto line = co_await
    /// lines.next()) …`.
    Lines lines() const;

    /// Reads one line, with its '\n'. Returns the last bytes without a '\n' if the stream does not
    /// end with one, and "" after that.
    /// Throws: LimitOverrunError when the line is longer than the limit. The line stays in the
    /// buffer. (Python's `readline` discards it.)
    Coro<std::string> readline() const;

    /// Reads exactly `bytes` bytes. The limit does not apply.
    /// Throws: IncompleteReadError, which holds the bytes that came, if the stream ends before;
    /// `std::invalid_argument` for a number that was negative before its conversion.
    Coro<std::string> readexactly(std::size_t bytes) const;

    /// Reads everything up to and including `separator`, which must not be empty. Throws:
    /// LimitOverrunError (the data stays in the buffer); IncompleteReadError if the stream ends
    /// before the separator; `std::invalid_argument` if the separator is empty.
    Coro<std::string> readuntil(std::string_view separator) const;
    /// The same with several separators: reads up to the one that ends first. The separators are
    /// copied.
    Coro<std::string> readuntil(std::span<const std::string_view> separators) const;
    /// Refuses a list in braces: two string literals would be taken for the begin and the end of
    /// one string.
    Coro<std::string> readuntil(std::initializer_list<std::string_view>) const = delete;

    /// Takes the bytes out of the buffer that have come and have not been read. Never waits.
    std::string take_buffered() const;

    /// Whether the end of the stream was reached and the buffer is empty.
    bool at_eof() const;

    /// The error that every read throws; null if there is none. Python: `StreamReader.exception`.
    std::exception_ptr exception() const;

    /// Closes the descriptor, or the reading side of the channel, and drops the buffer. A read that
    /// is waiting gets the end of the stream. Closing twice is allowed.
    void close() const noexcept;
    /// Whether `close` was called.
    bool is_closing() const;

private:
    friend class internal::ProcessState;
    friend class Stream;
    friend StreamReader connect_read_pipe(lowlevel::Fd fd, StreamOptions options);
    explicit StreamReader(internal::Ref<internal::ReaderState> state) noexcept;

    internal::ReaderState& state() const;
    internal::Ref<internal::ReaderState> shared_state() const;
    /// Makes a second handle of the same stream. Dropping the second handle does not close the
    /// stream.
    StreamReader alias() const noexcept;
    void drop() const noexcept;

    internal::Ref<internal::ReaderState> state_;
    bool is_alias_ = false;
};

/// The marks of `StreamWriter::drain`, in bytes.
struct WriteBufferLimits {
    std::optional<std::size_t> high = std::nullopt;
    std::optional<std::size_t> low = std::nullopt;
};

/// The writing end of a byte stream. A handle, like `StreamReader`.
///
/// Errors: the system may report an error at any time after `write` (EPIPE when the reader has
/// closed its end). From then on every `drain`, `send` and `wait_closed` throws it as an OsError.
/// The bytes in the buffer, and all bytes that are written later, are dropped.
/// Python: `asyncio.StreamWriter`, and `set_write_buffer_limits` of its transport.
class StreamWriter {
public:
    /// Refers to no stream.
    StreamWriter() noexcept;
    /// Takes `fd` over. It must be in non-blocking mode; `connect_write_pipe` makes it so.
    StreamWriter(EventLoop& loop, lowlevel::Fd fd, StreamOptions options = {});
    /// Writes to `channel`, as the `StreamReader` above reads. The writing side is closed when
    /// everything is sent after `close`, or after an error, or when the handle is dropped.
    StreamWriter(EventLoop& loop, std::shared_ptr<lowlevel::Channel> channel,
                 StreamOptions options = {});
    StreamWriter(StreamWriter&& other) noexcept;
    StreamWriter& operator=(StreamWriter&& other) noexcept;
    /// Calls `abort()`, unless `close()` was called, which then continues. Debug mode logs bytes
    /// that are lost in this way.
    ~StreamWriter();

    explicit operator bool() const noexcept;

    /// Hands `data` to the kernel, and keeps a copy of the bytes that the kernel does not take at
    /// once. Never waits, so a program that writes without ever awaiting `drain` fills its memory.
    /// Has no effect after `close` or an error.
    void write(std::string_view data) const;
    /// The same for a string that is given away, without a copy.
    template <std::same_as<std::string> Text>
    void write(Text&& data) const {
        write_string(std::forward<Text>(data));
    }
    /// Writes all `pieces`, joined to one. Python: `writelines`.
    template <std::ranges::input_range Range>
        requires std::convertible_to<std::ranges::range_reference_t<Range>, std::string_view>
    void writelines(Range&& pieces) const {
        std::string all;
        for (auto&& piece : pieces) all += std::string_view(piece);
        write_string(std::move(all));
    }

    /// If more bytes are buffered than the high mark, waits until the buffer is down to the low
    /// mark. Otherwise returns at once. Many tasks may wait.
    /// Throws: OsError with the error of the stream; with ECONNRESET if the stream is closed.
    /// Cancellation: a cancellation point if it must wait. Bytes that were written stay written.
    WriterWait drain() const;

    /// Writes `data` and waits until the kernel has taken all of it.
    ///
    /// Throws: as `drain`.
    /// Cancellation: a cancellation point if it must wait. `data` is in the buffer then, and will
    /// be sent as a whole, so a cancellation does not cut a message in two.
    WriterWait send(std::string_view data) const;
    template <std::same_as<std::string> Text>
    WriterWait send(Text&& data) const {
        write_string(std::forward<Text>(data));
        return all_sent();
    }

    /// Sends a part of the file `file`, whose descriptor stays the caller's, behind everything that
    /// was written before, and returns the number of bytes. For a `File` it is `fileno()`. Over a
    /// plain socket the kernel copies the bytes by itself where it can. Otherwise, over TLS for
    /// example, they are read and sent, unless `options.fallback` is false.
    ///
    /// What is written meanwhile is sent behind the file, and `close` waits for its end. (Python
    /// refuses such a write.)
    /// Throws: SendfileNotAvailableError without a fallback; RuntimeError if a file is being sent;
    /// OsError, with ECONNRESET if the stream is closed or closing.
    /// Afterwards, also after an error or a cancellation, the position of the file is behind the
    /// last byte that was sent.
    /// Cancellation: a cancellation point if it must wait. A piece of the file that was read
    /// already, at most 256 KiB, is in the buffer and will be sent; the position counts it.
    /// Python: `loop.sendfile`.
    Coro<std::uint64_t> sendfile(int file, SendfileOptions options = {}) const;

    /// Lets the reader at the other end see the end of the stream after the buffered bytes. The
    /// program can still read from a connection, and `write` throws RuntimeError. A pipe can only
    /// show its end by being closed, so for pipes this is `close`.
    void write_eof() const noexcept;
    /// Whether `write_eof` leaves the reading side open: true for connections.
    bool can_write_eof() const;

    /// Sends the buffered bytes, then closes the stream: for a connection both sides, so that its
    /// reader sees the end; otherwise the descriptor, or the writing side of the channel. This call
    /// does not wait for that. Closing twice is allowed.
    void close() const noexcept;
    /// Closes as `close` does, but at once. The buffered bytes are lost.
    void abort() const noexcept;
    /// Whether `close` or `abort` was called, or the stream has ended with an error.
    bool is_closing() const;

    /// Waits until everything is closed that `close` closes; it does not call `close`. Throws:
    /// OsError if the stream has ended with an error.
    /// Cancellation: a cancellation point if it must wait. The closing continues.
    WriterWait wait_closed() const;

    /// How many bytes are buffered.
    std::size_t get_write_buffer_size() const;
    /// Sets the marks of `drain`, in bytes. The defaults are 64 KiB and 16 KiB. Throws:
    /// `std::invalid_argument` if `low` is above `high`.
    void set_write_buffer_limits(std::size_t high, std::size_t low) const;
    /// The same with a low mark of a quarter of the high one.
    void set_write_buffer_limits(std::size_t high) const {
        set_write_buffer_limits(high, high / 4);
    }
    /// The marks by name; without `high`, it is four times the low mark.
    void set_write_buffer_limits(WriteBufferLimits limits) const {
        const std::size_t low = limits.low.value_or(limits.high.value_or(64 * 1024) / 4);
        set_write_buffer_limits(limits.high.value_or(4 * low), low);
    }
    /// The marks; both have a value. Python: a pair, low and high.
    WriteBufferLimits get_write_buffer_limits() const;

    /// The addresses of a connection: of the other end, and of this one. Empty for other streams.
    /// Python: `get_extra_info("peername")` and `get_extra_info("sockname")`.
    Address peer() const;
    Address local() const;
    /// The descriptor, which stays the stream's; −1 if there is none, or no more.
    /// Python: `get_extra_info("socket")`.
    int fd() const;
    /// The channel of the stream, for code that knows more of it than every channel has: the
    /// certificate behind TLS, for example. It lives as long as the stream is open. Do not submit
    /// operations to it.
    lowlevel::Channel& channel() const;

private:
    friend class internal::ProcessState;
    friend class Stream;
    friend struct internal::ServerClient;
    friend StreamWriter connect_write_pipe(lowlevel::Fd fd, StreamOptions options);
    explicit StreamWriter(internal::Ref<internal::WriterState> state) noexcept;

    internal::WriterState& state() const;
    internal::Ref<internal::WriterState> shared_state() const;
    void write_string(std::string&& data) const;
    WriterWait all_sent() const;
    /// Makes a second handle of the same stream. Dropping the second handle does not close the
    /// stream.
    StreamWriter alias() const noexcept;
    void drop() const noexcept;

    internal::Ref<internal::WriterState> state_;
    bool is_alias_ = false;
};

/// Makes a reader of `fd` on the running loop, for a pipe, terminal, socket, FIFO or file that was
/// opened elsewhere. Switches the file to non-blocking mode unless it is shared.
///
/// A regular file is read directly, and may block the loop while the disk works.
/// Throws: OsError if `fd` is not an open descriptor; RuntimeError if no loop runs.
/// Python: `loop.connect_read_pipe`, without the protocol.
StreamReader connect_read_pipe(lowlevel::Fd fd, StreamOptions options = {});

/// The same for writing. Python: `loop.connect_write_pipe`.
StreamWriter connect_write_pipe(lowlevel::Fd fd, StreamOptions options = {});

/// The two ends of a pipe.
struct Pipe {
    StreamReader reader;
    StreamWriter writer;
};

/// Makes a pipe. On the simulated back-end the pipe is in memory. Throws: OsError.
/// Cancellation: making a pipe does not wait. If the pipe was made, it is returned.
/// Source: pipe(7).
Coro<Pipe> open_pipe(StreamOptions options = {});

}  // namespace asyncio
