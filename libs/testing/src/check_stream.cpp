// The suite of streams: the table of its cases, how a case runs, and the helpers with which the
// cases say what they expect.
//
// A case gets a function that makes connected pairs, and knows nothing else of the stream. So the
// same case runs over a pipe, a socket, TLS, or a channel that a program has written.
//
// Every case has a loop of its own, with the checks of `run_in`. A stream that leaves a task, a
// timer or a warning behind is reported by the case that has caused it, and no case depends on a
// state that another one has left. A single loop for all cases was rejected: the first failure
// would spoil every case behind it.
//
// The cases stand in a table, with their names as text. So a program can report each case as a test
// of its own framework (`stream_cases`). Cases that register themselves before `main` were
// rejected: their order would depend on the linker, which also leaves out object files of a static
// library that nothing refers to.
//
// The plain promises come first in the table. `check_stream` stops at the first failure, and a
// stream that breaks a plain promise breaks most of the others as well.

#include <asyncio/testing/check_stream.h>

#include <asyncio/exceptions.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>
#include <asyncio/testing/assertion_error.h>

#include "stream_cases.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace asyncio::testing {
namespace internal {
namespace {

/// A case that is a coroutine. The others make their loops themselves. The body is an argument of
/// the template, so the table holds plain pointers and is a constant.
template <CaseBody body>
void run(const StreamUnderTest& stream, const CheckStreamOptions& options) {
    run_case(body, stream, options);
}

#define ASYNCIO_STREAM_CASE(name) \
    StreamCase { #name, &run<&(name)> }

constexpr StreamCase cases[] = {
    ASYNCIO_STREAM_CASE(everything_written_arrives_in_order_and_then_the_end),
    ASYNCIO_STREAM_CASE(every_read_finds_its_bytes_in_whatever_pieces_they_come),
    ASYNCIO_STREAM_CASE(an_early_end_gives_the_bytes_that_came),
    ASYNCIO_STREAM_CASE(the_end_of_the_last_line_may_be_missing),
    ASYNCIO_STREAM_CASE(what_is_beyond_the_limit_stays_in_the_buffer),
    ASYNCIO_STREAM_CASE(of_several_separators_the_one_that_ends_first_wins),
    ASYNCIO_STREAM_CASE(a_second_read_at_a_time_is_refused),
    ASYNCIO_STREAM_CASE(a_cancelled_read_takes_nothing_away),
    ASYNCIO_STREAM_CASE(a_writer_waits_for_a_slow_reader),
    ASYNCIO_STREAM_CASE(all_tasks_in_drain_are_released),
    ASYNCIO_STREAM_CASE(a_stream_that_never_waits_lets_other_tasks_run),
    ASYNCIO_STREAM_CASE(a_cancelled_send_is_sent_as_a_whole),
    ASYNCIO_STREAM_CASE(a_write_after_the_close_fails_at_the_next_drain),
    ASYNCIO_STREAM_CASE(wait_closed_says_with_which_error_the_stream_has_ended),
    ASYNCIO_STREAM_CASE(closing_the_reader_ends_its_read_and_tells_the_writer),
    ASYNCIO_STREAM_CASE(a_writer_that_waits_learns_that_the_reader_is_gone),
    ASYNCIO_STREAM_CASE(an_aborted_writer_sends_no_more),
    ASYNCIO_STREAM_CASE(handles_may_go_at_any_time),
    {"a_loop_that_closes_ends_the_streams_that_are_left",
     &a_loop_that_closes_ends_the_streams_that_are_left},
    {"a_read_that_waits_when_the_loop_closes_is_cancelled",
     &a_read_that_waits_when_the_loop_closes_is_cancelled},
};

#undef ASYNCIO_STREAM_CASE

/// Texts of a case can be long. The place where they differ is what matters. The error says where
/// that is, so the beginning and the length are enough to recognise the text.
std::string shown(std::string_view text) {
    constexpr std::size_t most = 60;
    if (text.size() <= most) return '"' + std::string(text) + '"';
    return '"' + std::string(text.substr(0, most)) + "…\" (" + std::to_string(text.size()) +
           " bytes)";
}

/// Ends the tasks that a case has left, most of which feed its streams. Without it each case would
/// have to end its tasks by hand.
///
/// Bounded by the patience of the tasks: each round asks all of them again, because a task may
/// start another one while it ends. The sleep gives them the time to end.
Coro<> cancel_the_other_tasks() {
    for (;;) {
        const std::vector<TaskRef> tasks = all_tasks();
        if (tasks.size() == 1) break;
        for (const TaskRef& task : tasks) {
            if (task != current_task()) task.cancel();
        }
        co_await sleep(std::chrono::milliseconds(1));
    }
}

}  // namespace

/// The sentence says which promise is broken. A macro with the line of the check would help less:
/// the user of the suite has not written the case.
void expect(bool holds, std::string_view what) {
    if (!holds) throw AssertionError(std::string(what));
}

/// A lost piece and a piece at the wrong place show themselves at the first byte that differs. If
/// one text is the beginning of the other, they differ at its end.
void expect_text(std::string_view got, std::string_view wanted) {
    if (got == wanted) return;
    const auto differing = std::mismatch(got.begin(), got.end(), wanted.begin(), wanted.end());
    const auto place = static_cast<std::size_t>(differing.first - got.begin());
    throw AssertionError("got " + shown(got) + ", wanted " + shown(wanted) +
                         "; they differ at byte " + std::to_string(place));
}

/// Both numbers are shown: an errno that is not the wanted one often tells the cause by itself.
void expect_number(long long got, long long wanted, std::string_view what) {
    if (got == wanted) return;
    throw AssertionError(std::string(what) + ": got " + std::to_string(got) + ", wanted " +
                         std::to_string(wanted));
}

/// Numbers in a row, so a piece that is lost, doubled or moved changes the text. A text of equal
/// letters would hide all three where the length is right. Random bytes were rejected, because a
/// case must be the same in every run.
std::string numbered_text(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 8);
    for (std::size_t number = 0; text.size() < bytes; ++number)
        text += std::to_string(number) + ' ';
    text.resize(bytes);
    return text;
}

/// Any other error is passed on and not turned into a number: the case has not expected it, so its
/// own text is the best report.
int End::number() const {
    try {
        if (error != nullptr) std::rethrow_exception(error);
    } catch (const OsError& failure) {
        return failure.error();
    }
    return 0;
}

/// A pipe reports EPIPE. A socket reports ECONNRESET when bytes were left unread at the other end.
/// The order of events decides which of the two a program meets, so a stream may give either.
bool says_that_the_reader_is_gone(int error) noexcept {
    return error == EPIPE || error == ECONNRESET;
}

/// The task owns the writer. So a case may end before its bytes are sent, and the cancellation of
/// the task closes the stream.
///
/// The pause lets each piece arrive by itself. Without it a stream would join the pieces in its
/// buffer, and the reads would meet a single long one.
Coro<> feed(StreamWriter writer, std::vector<std::string> pieces) {
    try {
        for (const std::string& piece : pieces) {
            co_await writer.send(piece);
            co_await sleep(std::chrono::microseconds(100));
        }
        writer.close();
        co_await writer.wait_closed();
    } catch (const OsError& error) {
        expect(says_that_the_reader_is_gone(error.error()), error.what());
    }
}

/// The first write may succeed, because a layer in between may take bytes for a while. The number
/// of rounds is bounded, so a stream that never reports the error fails the case and does not hold
/// it for ever.
Coro<int> eventual_error_of(const StreamWriter& writer) {
    constexpr int patience = 1000;
    for (int round = 0; round < patience; ++round) {
        const End end = co_await end_of(writer.send("x"));
        if (end.number() != 0) co_return end.number();
        co_await sleep(std::chrono::milliseconds(1));
    }
    co_return 0;
}

/// The bytes are copied into the frame of the task, because the case goes on while the task waits.
Coro<> send_all(const StreamWriter& writer, std::string bytes) {
    co_await writer.send(std::move(bytes));
}

Coro<> drain(const StreamWriter& writer) { co_await writer.drain(); }

/// Each case gets a fresh world of the seed, and so the same dice. A case that fails in the suite
/// fails in the same way when it runs alone.
TestLoop loop_of_case(const CheckStreamOptions& options) {
    if (options.seed)
        return TestLoop(lowlevel::make_simulated_backend({.seed = *options.seed}), LoopOptions{});
    return TestLoop({.backend = options.backend});
}

/// The tasks are ended inside the main task, because `run_in` reports every task that is left
/// behind it.
void run_case(CaseBody body, const StreamUnderTest& stream, const CheckStreamOptions& options) {
    TestLoop loop = loop_of_case(options);
    const auto whole = [&]() -> Coro<> {
        co_await body(stream);
        co_await cancel_the_other_tasks();
    };
    run_in(loop, whole);
}

}  // namespace internal

/// The table is a constant, so the span stays valid to the end of the program.
std::span<const StreamCase> stream_cases() noexcept { return internal::cases; }

/// The name of the case is put in front of a broken promise. Every other error keeps its type,
/// because the caller may want to catch it: a DeadlockError, or an error of `make`.
void check_stream(const StreamUnderTest& stream, const CheckStreamOptions& options) {
    for (const StreamCase& each : stream_cases()) {
        try {
            each.run(stream, options);
        } catch (const AssertionError& error) {
            throw AssertionError(std::string(each.name) + ": " + error.what());
        }
    }
}

/// The range of seeds is chosen as in `simulate_seeds`, so the setting that a SeedError shows
/// repeats the run. That function itself cannot be used: it runs a body in one world, and here each
/// case makes a world of its own.
void check_stream_seeds(const StreamUnderTest& stream, const SeedOptions& options) {
    const bool one = seed_is_given();
    const std::uint64_t first = one ? seed_or(0) : options.first;
    const std::uint64_t count = one ? 1 : options.count;
    for (std::uint64_t done = 0; done < count; ++done) {
        const std::uint64_t seed = first + done;
        try {
            check_stream(stream, {.seed = seed});
        } catch (...) {
            throw SeedError(seed, std::current_exception());
        }
    }
}

}  // namespace asyncio::testing
