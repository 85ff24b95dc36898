// Cases about writing: back-pressure, fairness, cancellations.
//
// A writer has a buffer, and the reader at the other end may be slow. The promises here keep the
// memory of a program bounded and its other tasks alive: `drain` waits while the reader is behind,
// every task that waits is released, and a stream that never has to wait lets other tasks run.
//
// A wait begins only if the bytes do not fit between writer and reader. How much fits depends on
// the channel, and for a socket on the settings of the kernel. So the caller of the suite gives a
// number that is more than enough (`more_than_fits_bytes`). Writing until `drain` waits was
// rejected: a stream whose `drain` never waits would fill the memory and not fail the case.

#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "stream_cases.h"

#include <chrono>

namespace asyncio::testing::internal {

using namespace std::chrono_literals;

/// Without this wait a program that copies from a fast source to a slow peer keeps everything in
/// memory. The wait must also end, since a lost wake-up stops the connection for ever. `drain`
/// returns at the low mark, so a send of nothing waits for the last bytes.
Coro<> a_writer_waits_for_a_slow_reader(const StreamUnderTest& stream) {
    const std::string text = numbered_text(stream.more_than_fits_bytes);
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    pipe.writer.write(text);
    auto drained = create_task(drain(pipe.writer));
    co_await sleep(1ms);
    expect(!drained.done(), "drain() did not wait; is `more_than_fits_bytes` large enough?");
    expect_text(co_await pipe.reader.readexactly(text.size()), text);
    co_await drained;
    co_await pipe.writer.send("");
    expect(pipe.writer.get_write_buffer_size() == 0, "bytes are left in the writer's buffer");
}

/// Several tasks may write to one connection, and each drains. A stream that wakes the first alone
/// would leave the others waiting until the next write, or for ever.
Coro<> all_tasks_in_drain_are_released(const StreamUnderTest& stream) {
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    pipe.writer.write(numbered_text(stream.more_than_fits_bytes));
    constexpr std::size_t tasks = 10;
    std::vector<Task<>> draining;
    draining.reserve(tasks);
    for (std::size_t i = 0; i < tasks; ++i) draining.push_back(create_task(drain(pipe.writer)));
    co_await sleep(1ms);
    for (const Task<>& task : draining) expect(!task.done(), "drain() did not wait");
    co_await pipe.reader.readexactly(stream.more_than_fits_bytes);
    for (const Task<>& task : draining) co_await task;
}

/// Counts how often other tasks come to run. A sleep of no time yields once, so each turn is in
/// another iteration of the loop.
static Coro<> count_turns(int& turns) {
    for (;;) {
        ++turns;
        co_await sleep(0ns);
    }
}

/// A send that finds room and a read that finds bytes return without a wait. A task that does
/// nothing else would keep the loop: timers would be late, and no cancellation could arrive. So a
/// stream yields now and then. How often is its own choice, within the number below.
Coro<> a_stream_that_never_waits_lets_other_tasks_run(const StreamUnderTest& stream) {
    constexpr int rounds = 640;
    constexpr int most_rounds_without_a_turn = 32;
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    int turns = 0;
    auto counting = create_task(count_turns(turns));
    for (int i = 0; i < rounds; ++i) {
        co_await pipe.writer.send("x");
        expect_text(co_await pipe.reader.readexactly(1), "x");
    }
    expect(turns >= rounds / most_rounds_without_a_turn, "the stream kept other tasks waiting");
    // Before the variable goes that it counts in.
    counting.cancel();
    static_cast<void>(co_await end_of(std::move(counting)));
}

/// The bytes were given to the stream, which sends them whether the task waits or not. A message
/// that is cut in two would make everything behind it unreadable for the peer. So the cancellation
/// ends the wait alone. A program that wants to stop the bytes calls `abort`.
Coro<> a_cancelled_send_is_sent_as_a_whole(const StreamUnderTest& stream) {
    const std::string text = numbered_text(stream.more_than_fits_bytes);
    Pipe pipe = co_await stream.make(default_stream_limit_bytes);
    auto sending = create_task(send_all(pipe.writer, text));
    co_await sleep(1ms);
    sending.cancel();
    const End end = co_await end_of(std::move(sending));
    expect(end.cancelled, "a send that was cancelled has ended in another way");
    pipe.writer.close();
    expect_text(co_await pipe.reader.read(), text);
}

}  // namespace asyncio::testing::internal
