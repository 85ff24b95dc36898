#pragma once
// What the cases of `check_stream` are written with.
//
// A case is a coroutine that gets a `Pair`, a maker of connected pairs. It says what it expects by
// the functions below, which throw. A case may leave tasks behind that feed its streams; they are
// cancelled at its end.
//
// The cases do not use anything of a test framework, and nothing of the library that a user could
// not use: they are programs over streams.

#include <asyncio/coro.h>
#include <asyncio/streams.h>
#include <asyncio/testing/check_stream.h>

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio::testing::internal {

/// Throws: AssertionError with `what`, if `holds` is false.
void expect(bool holds, std::string_view what);
/// Throws: AssertionError with both texts, shortened, and the first place at which they differ.
void expect_text(std::string_view got, std::string_view wanted);
/// Throws: AssertionError with both numbers, and with `what`, which names the value.
void expect_number(long long got, long long wanted, std::string_view what);

/// A text in which every place looks different.
std::string numbered_text(std::size_t bytes);

/// How an await has ended.
struct End {
    std::exception_ptr error = nullptr;
    bool cancelled = false;

    /// The errno of the error; 0 if there is none. Throws: the error, if it is no OsError.
    int number() const;
    /// Whether the await has failed with this error, or with one derived from it. A cancellation is
    /// no error here.
    template <class Error>
    bool is() const {
        try {
            if (error != nullptr) std::rethrow_exception(error);
        } catch (const Error&) {
            return true;
        } catch (...) {
        }
        return false;
    }
};

/// Awaits, and tells how it ended. The task itself must not be cancelled meanwhile.
template <class Awaitable>
Coro<End> end_of(Awaitable awaitable) {
    End end;
    try {
        static_cast<void>(co_await std::move(awaitable));
    } catch (const CancelledError&) {
        end.cancelled = true;
    } catch (...) {
        end.error = std::current_exception();
    }
    co_return end;
}

/// Sends the pieces one by one, with a little time between them, then closes. A reader that goes
/// before it has read them is no error.
Coro<> feed(StreamWriter writer, std::vector<std::string> pieces);

/// Writes until a write fails; the errno. The news that a reader has gone may take a while.
Coro<int> eventual_error_of(const StreamWriter& writer);

/// A send in a task of its own.
Coro<> send_all(const StreamWriter& writer, std::string bytes);
/// A drain in a task of its own.
Coro<> drain(const StreamWriter& writer);

/// Whether an errno means that the reader has gone. A connection may be reset.
bool says_that_the_reader_is_gone(int error) noexcept;

/// A case that runs on a loop which stands already. `stream` lives as long as the coroutine.
using CaseBody = Coro<> (*)(const StreamUnderTest& stream);

/// Runs the body of a case on a loop of its own, and ends the tasks that it has left behind.
void run_case(CaseBody body, const StreamUnderTest& stream, const CheckStreamOptions& options);

/// The loop of a case.
TestLoop loop_of_case(const CheckStreamOptions& options);

// The cases, in the files stream_cases_*.cpp.

// Reading: the bytes, the limits, the cancellations.
Coro<> everything_written_arrives_in_order_and_then_the_end(const StreamUnderTest& stream);
Coro<> every_read_finds_its_bytes_in_whatever_pieces_they_come(const StreamUnderTest& stream);
Coro<> an_early_end_gives_the_bytes_that_came(const StreamUnderTest& stream);
Coro<> the_end_of_the_last_line_may_be_missing(const StreamUnderTest& stream);
Coro<> what_is_beyond_the_limit_stays_in_the_buffer(const StreamUnderTest& stream);
Coro<> of_several_separators_the_one_that_ends_first_wins(const StreamUnderTest& stream);
Coro<> a_second_read_at_a_time_is_refused(const StreamUnderTest& stream);
Coro<> a_cancelled_read_takes_nothing_away(const StreamUnderTest& stream);

// Writing: the waits, the other tasks, the cancellations.
Coro<> a_writer_waits_for_a_slow_reader(const StreamUnderTest& stream);
Coro<> all_tasks_in_drain_are_released(const StreamUnderTest& stream);
Coro<> a_stream_that_never_waits_lets_other_tasks_run(const StreamUnderTest& stream);
Coro<> a_cancelled_send_is_sent_as_a_whole(const StreamUnderTest& stream);

// The end. The last two close their loop, and so they make it themselves.
Coro<> a_write_after_the_close_fails_at_the_next_drain(const StreamUnderTest& stream);
Coro<> wait_closed_says_with_which_error_the_stream_has_ended(const StreamUnderTest& stream);
Coro<> closing_the_reader_ends_its_read_and_tells_the_writer(const StreamUnderTest& stream);
Coro<> a_writer_that_waits_learns_that_the_reader_is_gone(const StreamUnderTest& stream);
Coro<> an_aborted_writer_sends_no_more(const StreamUnderTest& stream);
Coro<> handles_may_go_at_any_time(const StreamUnderTest& stream);
void a_loop_that_closes_ends_the_streams_that_are_left(const StreamUnderTest& stream,
                                                       const CheckStreamOptions& options);
void a_read_that_waits_when_the_loop_closes_is_cancelled(const StreamUnderTest& stream,
                                                         const CheckStreamOptions& options);

}  // namespace asyncio::testing::internal
