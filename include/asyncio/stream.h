#pragma once
// A stream of bytes in both directions: a connection.
//
// Python gives a program a pair, a reader and a writer. A `Stream` is that pair, with the functions
// of both, so that a connection is one object that is returned, stored and passed on as a whole. A
// program takes it as a pair where that reads better:
//
//     Stream stream = co_await open_connection("example.org", 80);
//     auto [reader, writer] = co_await open_connection("example.org", 80);
//
// Where the bytes go to is decided by a channel (`lowlevel/channel.h`): a socket, TLS over another
// channel, memory in a test. Code that takes a `Stream` works over all of them, and none of it can
// tell them apart. The abstract class is the channel and not the stream, because lines, separators,
// limits and marks are the same for all.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/streams.h>

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

/// The channel of a stream, taken out of it.
struct DetachedStream {
    std::shared_ptr<lowlevel::Channel> channel;
    /// The bytes that the stream has received and the program has not read.
    std::string unread;
};

/// A connection: a `StreamReader` and a `StreamWriter` of one channel. Move-only.
///
/// A stream that is destroyed is closed at once, and bytes that were written and are not yet sent
/// are lost, as with `StreamWriter`. Await `aclose` to send them.
/// Python: the pair that `asyncio.open_connection` returns.
class Stream {
public:
    /// Refers to no stream.
    Stream() noexcept = default;
    /// A stream over `channel`. Throws: as the constructors of `StreamReader`.
    Stream(EventLoop& loop, std::shared_ptr<lowlevel::Channel> channel, StreamOptions options = {});
    /// A stream of two halves: the pipes of a child process, for example.
    Stream(StreamReader from, StreamWriter to) noexcept
        : reader(std::move(from)), writer(std::move(to)) {}

    explicit operator bool() const noexcept { return static_cast<bool>(reader); }

    // Reading: as the functions of `StreamReader` with these names.

    Read read(std::size_t most_bytes) const { return reader.read(most_bytes); }
    Coro<std::string> read() const { return reader.read(); }
    ReadInto read_into(std::span<char> room) const { return reader.read_into(room); }
    Coro<std::string> readline() const { return reader.readline(); }
    Coro<std::string> readexactly(std::size_t bytes) const { return reader.readexactly(bytes); }
    Coro<std::string> readuntil(std::string_view separator) const {
        return reader.readuntil(separator);
    }
    Coro<std::string> readuntil(std::span<const std::string_view> separators) const {
        return reader.readuntil(separators);
    }
    Lines lines() const { return reader.lines(); }
    bool at_eof() const { return reader.at_eof(); }

    // Writing: as the functions of `StreamWriter` with these names.

    void write(std::string_view data) const { writer.write(data); }
    template <std::same_as<std::string> Text>
    void write(Text&& data) const {
        writer.write(std::forward<Text>(data));
    }
    template <class Range>
    void writelines(Range&& pieces) const {
        writer.writelines(std::forward<Range>(pieces));
    }
    WriterWait send(std::string_view data) const { return writer.send(data); }
    template <std::same_as<std::string> Text>
    WriterWait send(Text&& data) const {
        return writer.send(std::forward<Text>(data));
    }
    WriterWait drain() const { return writer.drain(); }
    Coro<std::uint64_t> sendfile(int file, SendfileOptions options = {}) const {
        return writer.sendfile(file, options);
    }
    void write_eof() const noexcept { writer.write_eof(); }

    // The end.

    /// Sends the buffered bytes and closes both directions. Does not wait for that; `wait_closed`
    /// does. Closing twice is allowed.
    void close() const noexcept { writer.close(); }
    WriterWait wait_closed() const { return writer.wait_closed(); }
    /// `close`, and waits until the stream is closed. Throws: OsError if bytes could not be sent.
    /// Cancellation: a cancellation point if it must wait. The closing continues.
    WriterWait aclose() const {
        close();
        return wait_closed();
    }
    /// Closes both directions at once. The buffered bytes are lost.
    void abort() const noexcept { writer.abort(); }
    bool is_closing() const { return writer.is_closing(); }

    // What is known of it.

    Address peer() const { return writer.peer(); }
    Address local() const { return writer.local(); }
    int fd() const { return writer.fd(); }

    /// Takes the channel out of the stream, which refers to none afterwards and is not closed. For
    /// code that puts another channel over this one, as TLS does.
    ///
    /// Throws: RuntimeError if a task reads, if bytes are buffered that were not sent, if the
    /// stream is closing, or if its two halves have different channels. The stream stays as it was.
    DetachedStream detach() &&;

    // Python's pair. They come last in the list of functions, and are all that there is.

    StreamReader reader;
    StreamWriter writer;
};

}  // namespace asyncio
