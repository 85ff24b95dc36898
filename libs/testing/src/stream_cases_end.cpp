// Cases about the end: of a writer, of a reader, of both, of the loop.
//
// A stream can end by a close, by an abort, by a handle that goes, by the other end, or with its
// loop. The cases ask the same questions about each of these ends. Does the task that waits wake
// up? Does the other end learn it, and with which errno? Are bytes left in a buffer? A wrong answer
// makes a program hang or keep memory, and often under load only.
//
// The cases do not ask at which write a writer learns that its reader has gone. A kernel or a layer
// in between may take bytes for a while, so this moment is no promise. The promise is that a write
// fails in the end.
//
// The close of a loop has cases of its own, because no task runs any more then. A channel that
// needs a task to finish its operations passes all other cases and fails here.

#include <asyncio/exceptions.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>
#include <asyncio/testing/log_capture.h>

#include "stream_cases.h"

#include <cerrno>
#include <chrono>

namespace asyncio::testing::internal {

using namespace std::chrono_literals;

/// `write` has no effect after a close and does not throw, so `drain` must tell the program that
/// bytes were dropped. The bytes before the close arrive all the same: a program closes its
/// connection right behind its answer.
Coro<> a_write_after_the_close_fails_at_the_next_drain(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    pipe.writer.write("before");
    pipe.writer.close();
    pipe.writer.write("after");
    const End end = co_await end_of(pipe.writer.drain());
    expect_number(end.number(), ECONNRESET, "the errno of drain()");
    expect_text(co_await pipe.reader.read(), "before");
}

/// A program that awaits nothing but `wait_closed` must still learn that its bytes were lost. So
/// the close that follows an error must not turn the error into a success.
Coro<> wait_closed_says_with_which_error_the_stream_has_ended(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    pipe.reader.close();
    const int error = co_await eventual_error_of(pipe.writer);
    pipe.writer.close();
    const End end = co_await end_of(pipe.writer.wait_closed());
    expect_number(end.number(), error, "the errno of wait_closed()");
}

/// A read that waits finds the end of the stream and does not wait for ever. The second close has
/// no effect, so two parts of a program may both close the reader. The writer learns it as well:
/// otherwise the program would go on producing bytes that no task reads.
Coro<> closing_the_reader_ends_its_read_and_tells_the_writer(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    auto reading = create_task(pipe.reader.readline());
    co_await sleep(1ms);
    pipe.reader.close();
    pipe.reader.close();
    expect_text(co_await reading, "");
    const int error = co_await eventual_error_of(pipe.writer);
    expect(says_that_the_reader_is_gone(error), "the writer did not learn that its reader is gone");
}

/// The task of the writer sleeps, so only the channel can wake it. A channel that reports the end
/// at the next write alone would leave the task waiting for room that never comes.
///
/// A stream with `drops_late_bytes` may let this send succeed, and then a later one must fail. The
/// bytes that can no longer be sent leave the buffer, because nothing else would free them.
Coro<> a_writer_that_waits_learns_that_the_reader_is_gone(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    auto sending = create_task(send_all(pipe.writer, numbered_text(stream.more_than_fits_bytes)));
    co_await sleep(1ms);
    pipe.reader = StreamReader();
    int error = (co_await end_of(std::move(sending))).number();
    if (error == 0 && stream.drops_late_bytes) error = co_await eventual_error_of(pipe.writer);
    expect(says_that_the_reader_is_gone(error), "the writer did not learn that its reader is gone");
    expect(pipe.writer.is_closing(), "is_closing() is false after an error");
    expect(pipe.writer.get_write_buffer_size() == 0, "bytes are left in the writer's buffer");
}

/// `abort` is the way out when the other end takes no bytes, so it must not wait for them. The part
/// that has arrived is a beginning of the text: a reader may see a short message, but none with a
/// gap. `wait_closed` reports no error, since the program has asked for the loss.
Coro<> an_aborted_writer_sends_no_more(const StreamUnderTest& stream) {
    const std::string text = numbered_text(stream.more_than_fits_bytes);
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    pipe.writer.write(text);
    pipe.writer.abort();
    expect(pipe.writer.is_closing(), "is_closing() is false after abort()");
    co_await pipe.writer.wait_closed();
    expect(pipe.writer.get_write_buffer_size() == 0, "bytes are left in the writer's buffer");
    const std::string got = co_await pipe.reader.read();
    expect(got.size() < text.size(), "abort() has sent everything");
    expect_text(got, std::string_view(text).substr(0, got.size()));
    const End end = co_await end_of(pipe.writer.send("late"));
    expect_number(end.number(), ECONNRESET, "the errno of a send after abort()");
}

/// At several distances from the beginning of a read and of a write. A handle is often a local
/// variable, which an exception can destroy at any await. The operation in flight still uses the
/// buffer of the stream then, so the state must outlive the handle. A sanitizer sees a state that
/// does not. The read that waits must end as well.
Coro<> handles_may_go_at_any_time(const StreamUnderTest& stream) {
    for (int steps = 0; steps < 4; ++steps) {
        Pipe pipe = co_await stream.make(default_stream_limit_bytes);
        auto reading = create_task(pipe.reader.read());
        for (int i = 0; i < steps; ++i) co_await sleep(0ns);
        pipe.writer.write(numbered_text(stream.more_than_fits_bytes));
        for (int i = 0; i < steps; ++i) co_await sleep(0ns);
        pipe.writer = StreamWriter();
        pipe.reader = StreamReader();
        const std::string got = co_await reading;
        expect(got.size() < stream.more_than_fits_bytes, "a reader that is gone has read on");
    }
}

/// The handles are dropped when the loop has gone. A program often keeps a handle in an object that
/// outlives the loop. The loop must have ended the stream before, because the handle has no loop
/// through which it could close anything. The log stays empty: such a program has made no mistake.
void a_loop_that_closes_ends_the_streams_that_are_left(const StreamUnderTest& stream,
                                                       const CheckStreamOptions& options) {
    LogCapture log;
    Pipe left;
    {
        TestLoop loop = loop_of_case(options);
        const auto leave = [&]() -> Coro<> {
            left = co_await stream.make(default_stream_limit_bytes);
            left.writer.write(numbered_text(stream.more_than_fits_bytes));
        };
        loop->run_until_complete(leave());
        loop->close();
        expect(left.reader.is_closing(), "a reader is open when its loop has closed");
        expect(left.writer.is_closing(), "a writer is open when its loop has closed");
        expect(left.writer.get_write_buffer_size() == 0, "bytes are left in the writer's buffer");
    }
    left = Pipe();
    log.check();
}

/// Notes the cancellation and passes it on, so that the task ends as a cancelled task does. The
/// variable belongs to the case, which outlives the close of the loop.
static Coro<> note_cancellation(const StreamReader& reader, bool& cancelled) {
    try {
        co_await reader.read(1);
    } catch (const CancelledError&) {
        cancelled = true;
        throw;
    }
}

/// The task in the read has local variables to clean up, and perhaps code that handles a
/// cancellation. A loop that forgot the read would skip this code. So the close of the loop cancels
/// the task, and every channel must let the read end then.
void a_read_that_waits_when_the_loop_closes_is_cancelled(const StreamUnderTest& stream,
                                                         const CheckStreamOptions& options) {
    LogCapture log;
    bool cancelled = false;
    TestLoop loop = loop_of_case(options);
    Pipe left;
    const auto leave = [&]() -> Coro<> {
        left = co_await stream.make(default_stream_limit_bytes);
        create_task(note_cancellation(left.reader, cancelled));
        co_await sleep(1ms);
    };
    loop->run_until_complete(leave());
    loop->close();
    // The library says that a task was still running.
    log.take();
    expect(cancelled, "the read was not cancelled");
}

}  // namespace asyncio::testing::internal
