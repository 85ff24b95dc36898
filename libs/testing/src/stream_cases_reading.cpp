// Cases about reading: bytes, limits, cancellations.
//
// The first promise: a stream has bytes and no pieces. The pieces in which bytes come depend on the
// kernel, the network and the load. A read that depends on them works on the machine of its author
// and fails elsewhere. So the cases send pieces that fit no read.
//
// The second promise: a read that fails takes nothing away, be it at a limit or by a cancellation.
// Every time limit is a cancellation, so a program that limits a read relies on this. The
// alternative was a stream that is broken after a cancelled read. A program would then have to
// close its connection at every time limit.
//
// The cases compare whole texts and not only their lengths, because a swap keeps the length.

#include <asyncio/exceptions.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "stream_cases.h"

#include <chrono>

namespace asyncio::testing::internal {

using namespace std::chrono_literals;

/// Pieces of many sizes, each written once without and once with a wait. All other promises stand
/// on this one. The two kinds of writes share a buffer, and a stream that sent them by two ways
/// could swap them. After the end a read gives nothing once more, so that a program which reads
/// until the end never waits again.
Coro<> everything_written_arrives_in_order_and_then_the_end(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    auto reading = create_task(pipe.reader.read());
    std::string expected;
    for (std::size_t i = 0; i < 100; ++i) {
        const std::string piece = numbered_text(i * 37);
        expected += piece + piece;
        pipe.writer.write(piece);
        co_await pipe.writer.send(piece);
    }
    pipe.writer.close();
    co_await pipe.writer.wait_closed();
    expect_text(co_await reading, expected);
    expect_text(co_await pipe.reader.read(1), "");
    expect(pipe.reader.at_eof(), "at_eof() is false at the end");
}

/// Each read but the last needs parts of two pieces, or leaves a part of a piece for the next one.
/// The limit is small, because it is about the length of a line and not about the bytes that have
/// come.
Coro<> every_read_finds_its_bytes_in_whatever_pieces_they_come(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(8);
    std::vector<std::string> pieces{"li", "ne\n1234", "5678", "x;y", "END", "rest"};
    create_task(feed(std::move(pipe.writer), std::move(pieces)));
    expect_text(co_await pipe.reader.readline(), "line\n");
    expect_text(co_await pipe.reader.readexactly(8), "12345678");
    expect_text(co_await pipe.reader.readuntil(";"), "x;");
    expect_text(co_await pipe.reader.readuntil("END"), "yEND");
    expect_text(co_await pipe.reader.read(), "rest");
}

/// A program that reads a message of a known length must not take a short one for the whole. So the
/// end is an error, and the error has the bytes that came, for a program that can use them.
Coro<> an_early_end_gives_the_bytes_that_came(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    pipe.writer.write("part");
    pipe.writer.close();
    std::string partial;
    try {
        co_await pipe.reader.readexactly(10);
    } catch (const IncompleteReadError& error) {
        partial = error.partial();
    }
    expect_text(partial, "part");
}

/// Many texts end without a '\n', and their last line is data like the others. The empty text
/// behind it is the mark of the end: an empty line would still have its '\n'.
Coro<> the_end_of_the_last_line_may_be_missing(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    std::vector<std::string> pieces{"one\nt", "wo"};
    create_task(feed(std::move(pipe.writer), std::move(pieces)));
    expect_text(co_await pipe.reader.readline(), "one\n");
    expect_text(co_await pipe.reader.readline(), "two");
    expect_text(co_await pipe.reader.readline(), "");
}

/// The bytes that a read beyond the limit says that it has seen; 0 if it succeeds.
static Coro<std::size_t> overrun_of(const StreamReader& reader, std::string_view separator) {
    try {
        co_await reader.readuntil(separator);
    } catch (const LimitOverrunError& error) {
        co_return error.consumed();
    }
    co_return 0;
}

/// The limit protects a program from a peer that sends a line without an end. The refusal takes no
/// bytes, so the program can choose: skip them, read them by another function, or close. The second
/// refusal shows that the first has changed nothing.
Coro<> what_is_beyond_the_limit_stays_in_the_buffer(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(8);
    co_await pipe.writer.send("12345678\nabcdefghi\nrest");
    pipe.writer.close();
    expect_text(co_await pipe.reader.readline(), "12345678\n");
    const End refused = co_await end_of(pipe.reader.readline());
    expect(refused.is<LimitOverrunError>(), "a line beyond the limit was not refused");
    expect(co_await overrun_of(pipe.reader, "\n") >= 9, "consumed() is less than the limit");
    expect_text(co_await pipe.reader.readexactly(10), "abcdefghi\n");
    expect_text(co_await pipe.reader.read(), "rest");
}

/// The place in the list must not decide. Otherwise the result would depend on the bytes that have
/// come when the search begins: "END" would win if it is there, and ";" if it is not.
Coro<> of_several_separators_the_one_that_ends_first_wins(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    std::vector<std::string> pieces{"a;", "b", "END", ";"};
    create_task(feed(std::move(pipe.writer), std::move(pieces)));
    constexpr std::string_view separators[] = {"END", ";"};
    expect_text(co_await pipe.reader.readuntil(separators), "a;");
    expect_text(co_await pipe.reader.readuntil(separators), "bEND");
    expect_text(co_await pipe.reader.readuntil(separators), ";");
}

/// Two tasks that read one stream would share its bytes in an order that no task controls. So the
/// second read is a mistake of the program, and is reported where it is made. The first read must
/// not notice it.
Coro<> a_second_read_at_a_time_is_refused(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    auto first = create_task(pipe.reader.readexactly(3));
    co_await sleep(1ms);
    const End refused = co_await end_of(pipe.reader.read(1));
    expect(refused.is<RuntimeError>(), "a second read at a time was not refused");
    co_await pipe.writer.send("abc");
    expect_text(co_await first, "abc");
}

/// The cancellation comes at every distance from the arrival of a byte. A byte that is lost there
/// would shift every later message, and the program would see a broken protocol far away from the
/// cause. Each round adds a byte, and the last read must find all of them.
Coro<> a_cancelled_read_takes_nothing_away(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    constexpr int rounds = 20;
    for (int round = 0; round < rounds; ++round) {
        auto reading = create_task(pipe.reader.readexactly(100));
        co_await sleep(0ns);
        pipe.writer.write("x");
        for (int i = 0; i < round % 4; ++i) co_await sleep(0ns);
        reading.cancel();
        const End end = co_await end_of(std::move(reading));
        expect(end.cancelled, "a read that was cancelled has ended in another way");
    }
    expect_text(co_await pipe.reader.readexactly(rounds), std::string(rounds, 'x'));
}

}  // namespace asyncio::testing::internal
