#pragma once
// Goal: a stream keeps its promises over every channel.
// Method: each case of the suite `asyncio::testing::check_stream` is a test here, and runs over
// every kind of channel that a test program instantiates: in tests/streams pipes, connections,
// bytes in memory, and channels that shorten and delay what they do; in libs/tls the same with TLS
// in between.
//
// A program includes this file once, and instantiates `check_stream` with its kinds.

#include <asyncio/lowlevel/channel.h>
#include <asyncio/testing/check_stream.h>

#include "streams/channels.h"
#include "streams/stream_help.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;

using Make = Coro<Pipe> (*)(std::size_t limit);

struct Kind {
    const char* name;
    Make make;
    /// The channel takes what is written after the reader is closed, and drops it, for a while.
    bool drops_late_bytes = false;
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) { return out << kind.name; }

class check_stream : public ::testing::TestWithParam<Kind> {
protected:
    /// Runs the case of the library whose name is that of this test without its rows.
    void run(std::string_view name) {
        const auto cases = asyncio::testing::stream_cases();
        const auto found = std::find_if(cases.begin(), cases.end(),
                                        [&](const auto& each) { return each.name == name; });
        ASSERT_NE(found, cases.end()) << "the suite has no case " << name;
        const asyncio::testing::StreamUnderTest stream{
            .make = GetParam().make, .drops_late_bytes = GetParam().drops_late_bytes};
        found->run(stream, {});
    }
};

TEST_P(check_stream, STR_02_everything_written_arrives_in_order_and_then_the_end) {
    run("everything_written_arrives_in_order_and_then_the_end");
}

TEST_P(check_stream, STR_01_STR_07_STR_10_every_read_finds_its_bytes_in_whatever_pieces_they_come) {
    run("every_read_finds_its_bytes_in_whatever_pieces_they_come");
}

TEST_P(check_stream, STR_11_an_early_end_gives_the_bytes_that_came) {
    run("an_early_end_gives_the_bytes_that_came");
}

TEST_P(check_stream, STR_03_the_end_of_the_last_line_may_be_missing) {
    run("the_end_of_the_last_line_may_be_missing");
}

TEST_P(check_stream, STR_04_STR_05_STR_06_what_is_beyond_the_limit_stays_in_the_buffer) {
    run("what_is_beyond_the_limit_stays_in_the_buffer");
}

TEST_P(check_stream, STR_08_of_several_separators_the_one_that_ends_first_wins) {
    run("of_several_separators_the_one_that_ends_first_wins");
}

TEST_P(check_stream, STR_16_WRT_01_a_writer_waits_for_a_slow_reader) {
    run("a_writer_waits_for_a_slow_reader");
}

TEST_P(check_stream, WRT_02_all_tasks_in_drain_are_released) {
    run("all_tasks_in_drain_are_released");
}

TEST_P(check_stream, a_stream_that_never_waits_lets_other_tasks_run) {
    run("a_stream_that_never_waits_lets_other_tasks_run");
}

TEST_P(check_stream, STR_15_a_second_read_at_a_time_is_refused) {
    run("a_second_read_at_a_time_is_refused");
}

TEST_P(check_stream, STR_18_a_cancelled_read_takes_nothing_away) {
    run("a_cancelled_read_takes_nothing_away");
}

TEST_P(check_stream, a_cancelled_send_is_sent_as_a_whole) {
    run("a_cancelled_send_is_sent_as_a_whole");
}

TEST_P(check_stream, WRT_05_a_write_after_the_close_fails_at_the_next_drain) {
    run("a_write_after_the_close_fails_at_the_next_drain");
}

TEST_P(check_stream, WRT_08_wait_closed_says_with_which_error_the_stream_has_ended) {
    run("wait_closed_says_with_which_error_the_stream_has_ended");
}

TEST_P(check_stream, WRT_03_closing_the_reader_ends_its_read_and_tells_the_writer) {
    run("closing_the_reader_ends_its_read_and_tells_the_writer");
}

TEST_P(check_stream, WRT_04_a_writer_that_waits_learns_that_the_reader_is_gone) {
    run("a_writer_that_waits_learns_that_the_reader_is_gone");
}

TEST_P(check_stream, an_aborted_writer_sends_no_more) { run("an_aborted_writer_sends_no_more"); }

TEST_P(check_stream, handles_may_go_at_any_time) { run("handles_may_go_at_any_time"); }

TEST_P(check_stream, a_loop_that_closes_ends_the_streams_that_are_left) {
    run("a_loop_that_closes_ends_the_streams_that_are_left");
}

TEST_P(check_stream, a_read_that_waits_when_the_loop_closes_is_cancelled) {
    run("a_read_that_waits_when_the_loop_closes_is_cancelled");
}

TEST(check_stream_suite, every_case_is_a_test_here) {
    constexpr std::string_view tested[] = {
        "everything_written_arrives_in_order_and_then_the_end",
        "every_read_finds_its_bytes_in_whatever_pieces_they_come",
        "an_early_end_gives_the_bytes_that_came",
        "the_end_of_the_last_line_may_be_missing",
        "what_is_beyond_the_limit_stays_in_the_buffer",
        "of_several_separators_the_one_that_ends_first_wins",
        "a_writer_waits_for_a_slow_reader",
        "all_tasks_in_drain_are_released",
        "a_stream_that_never_waits_lets_other_tasks_run",
        "a_second_read_at_a_time_is_refused",
        "a_cancelled_read_takes_nothing_away",
        "a_cancelled_send_is_sent_as_a_whole",
        "a_write_after_the_close_fails_at_the_next_drain",
        "wait_closed_says_with_which_error_the_stream_has_ended",
        "closing_the_reader_ends_its_read_and_tells_the_writer",
        "a_writer_that_waits_learns_that_the_reader_is_gone",
        "an_aborted_writer_sends_no_more",
        "handles_may_go_at_any_time",
        "a_loop_that_closes_ends_the_streams_that_are_left",
        "a_read_that_waits_when_the_loop_closes_is_cancelled",
    };
    const auto cases = asyncio::testing::stream_cases();
    EXPECT_EQ(cases.size(), std::size(tested));
    for (const auto& each : cases)
        EXPECT_NE(std::find(std::begin(tested), std::end(tested), each.name), std::end(tested))
            << each.name;
}

}  // namespace
