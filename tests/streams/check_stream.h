#pragma once
// Goal: a stream keeps its promises over every channel.
// Method: each case runs over every kind of channel that a test program instantiates, through the
// public handles: in tests/streams pipes, connections, bytes in memory, and channels that shorten
// and delay what they do; in libs/tls the same with TLS in between.
//
// A program includes this file once, and instantiates `check_stream` with its kinds.

#include <asyncio/lowlevel/channel.h>

#include "streams/channels.h"
#include "streams/stream_help.h"

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;

/// More than any of the channels and the high mark hold together.
constexpr std::size_t more_than_fits = 600'000;

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
    static Coro<Pipe> make(std::size_t limit = default_stream_limit_bytes) {
        return GetParam().make(limit);
    }
};

/// A connection may be reset.
bool means_that_the_reader_is_gone(int error) { return error == EPIPE || error == ECONNRESET; }

/// The bytes that a read of `separator` beyond the limit says that it has seen; 0 if it succeeds.
Coro<std::size_t> overrun_of(const StreamReader& reader, std::string_view separator) {
    try {
        co_await reader.readuntil(separator);
        co_return 0;
    } catch (const LimitOverrunError& error) {
        co_return error.consumed();
    }
}

// --- Bytes --------------------------------------------------------------------------------------

TEST_P(check_stream, STR_02_everything_written_arrives_in_order_and_then_the_end) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        auto reading = create_task(pipe.reader.read());
        std::string expected;
        for (int i = 0; i < 100; ++i) {
            const std::string piece = numbered_text(static_cast<std::size_t>(i * 37));
            expected += piece + piece;
            pipe.writer.write(piece);
            co_await pipe.writer.send(piece);
        }
        pipe.writer.close();
        co_await pipe.writer.wait_closed();
        const std::string got = co_await reading;
        EXPECT_TRUE(got == expected) << got.size() << " of " << expected.size();
        const std::string after = co_await pipe.reader.read(1);
        EXPECT_EQ(after, "");
        EXPECT_TRUE(pipe.reader.at_eof());
    });
}

TEST_P(check_stream, STR_01_STR_07_STR_10_every_read_finds_its_bytes_in_whatever_pieces_they_come) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make(8);
        std::vector<std::string> pieces{"li", "ne\n1234", "5678", "x;y", "END", "rest"};
        create_task(feed(std::move(pipe.writer), std::move(pieces)));
        std::string got = co_await pipe.reader.readline();
        EXPECT_EQ(got, "line\n");
        got = co_await pipe.reader.readexactly(8);
        EXPECT_EQ(got, "12345678");
        got = co_await pipe.reader.readuntil(";");
        EXPECT_EQ(got, "x;");
        got = co_await pipe.reader.readuntil("END");
        EXPECT_EQ(got, "yEND");
        got = co_await pipe.reader.read();
        EXPECT_EQ(got, "rest");
    });
}

TEST_P(check_stream, STR_11_an_early_end_gives_the_bytes_that_came) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        pipe.writer.write("part");
        pipe.writer.close();
        std::string partial;
        try {
            co_await pipe.reader.readexactly(10);
        } catch (const IncompleteReadError& error) {
            partial = error.partial();
        }
        EXPECT_EQ(partial, "part");
    });
}

TEST_P(check_stream, STR_03_the_end_of_the_last_line_may_be_missing) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        create_task(feed(std::move(pipe.writer), std::vector<std::string>{"one\nt", "wo"}));
        std::string line = co_await pipe.reader.readline();
        EXPECT_EQ(line, "one\n");
        line = co_await pipe.reader.readline();
        EXPECT_EQ(line, "two");
        line = co_await pipe.reader.readline();
        EXPECT_EQ(line, "");
    });
}

TEST_P(check_stream, STR_04_STR_05_STR_06_what_is_beyond_the_limit_stays_in_the_buffer) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make(8);
        co_await pipe.writer.send("12345678\nabcdefghi\nrest");
        pipe.writer.close();
        std::string got = co_await pipe.reader.readline();
        EXPECT_EQ(got, "12345678\n");
        const auto refused = co_await internal::settle(pipe.reader.readline());
        EXPECT_THROW(refused.value(), LimitOverrunError);
        const std::size_t seen = co_await overrun_of(pipe.reader, "\n");
        EXPECT_GE(seen, 9U);
        got = co_await pipe.reader.readexactly(10);
        EXPECT_EQ(got, "abcdefghi\n");
        got = co_await pipe.reader.read();
        EXPECT_EQ(got, "rest");
    });
}

TEST_P(check_stream, STR_08_of_several_separators_the_one_that_ends_first_wins) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        create_task(feed(std::move(pipe.writer), std::vector<std::string>{"a;", "b", "END", ";"}));
        constexpr std::string_view separators[] = {"END", ";"};
        std::string got = co_await pipe.reader.readuntil(separators);
        EXPECT_EQ(got, "a;");
        got = co_await pipe.reader.readuntil(separators);
        EXPECT_EQ(got, "bEND");
        got = co_await pipe.reader.readuntil(separators);
        EXPECT_EQ(got, ";");
    });
}

// --- Waiting ------------------------------------------------------------------------------------

TEST_P(check_stream, STR_16_WRT_01_a_writer_waits_for_a_slow_reader) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        pipe.writer.write(numbered_text(more_than_fits));
        auto drained = create_task(
            [](const StreamWriter& writer) -> Coro<> { co_await writer.drain(); }(pipe.writer));
        co_await sleep(1ms);
        EXPECT_FALSE(drained.done());
        auto reading = create_task(pipe.reader.readexactly(more_than_fits));
        const std::string got = co_await reading;
        EXPECT_TRUE(got == numbered_text(more_than_fits));
        co_await drained;
        co_await pipe.writer.send("");
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 0U);
    });
}

TEST_P(check_stream, WRT_02_all_tasks_in_drain_are_released) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        pipe.writer.write(numbered_text(more_than_fits));
        std::vector<Task<>> draining;
        for (int i = 0; i < 10; ++i) {
            draining.push_back(create_task([](const StreamWriter& writer) -> Coro<> {
                co_await writer.drain();
            }(pipe.writer)));
        }
        co_await sleep(1ms);
        for (const Task<>& task : draining) EXPECT_FALSE(task.done());
        co_await pipe.reader.readexactly(more_than_fits);
        co_await wait(draining);
    });
}

TEST_P(check_stream, a_stream_that_never_waits_lets_other_tasks_run) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        const support::Ticks ticks;
        for (int i = 0; i < 640; ++i) {
            co_await pipe.writer.send("x");
            const std::string got = co_await pipe.reader.readexactly(1);
            EXPECT_EQ(got, "x");
        }
        EXPECT_GE(ticks.count(), 640 / 32);
    });
}

TEST_P(check_stream, STR_15_a_second_read_at_a_time_is_refused) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        auto first = create_task(pipe.reader.readexactly(3));
        co_await sleep(1ms);
        const auto refused = co_await internal::settle(pipe.reader.read(1));
        EXPECT_THROW(refused.value(), RuntimeError);
        co_await pipe.writer.send("abc");
        const std::string got = co_await first;
        EXPECT_EQ(got, "abc");
    });
}

// --- Cancellation -------------------------------------------------------------------------------

TEST_P(check_stream, STR_18_a_cancelled_read_takes_nothing_away) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        for (int bytes = 0; bytes < 20; ++bytes) {
            auto reading = create_task(pipe.reader.readexactly(100));
            co_await sleep(0ns);
            pipe.writer.write("x");
            for (int i = 0; i < bytes % 4; ++i) co_await sleep(0ns);
            reading.cancel();
            const auto outcome = co_await internal::settle(std::move(reading));
            EXPECT_TRUE(outcome.cancelled());
        }
        const std::string got = co_await pipe.reader.readexactly(20);
        EXPECT_EQ(got, std::string(20, 'x'));
    });
}

TEST_P(check_stream, a_cancelled_send_is_sent_as_a_whole) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        auto sending = create_task([](const StreamWriter& writer) -> Coro<> {
            co_await writer.send(numbered_text(more_than_fits));
        }(pipe.writer));
        co_await sleep(1ms);
        sending.cancel();
        const auto outcome = co_await internal::settle(std::move(sending));
        EXPECT_TRUE(outcome.cancelled());
        pipe.writer.close();
        const std::string got = co_await pipe.reader.read();
        EXPECT_TRUE(got == numbered_text(more_than_fits));
    });
}

// --- The end ------------------------------------------------------------------------------------

TEST_P(check_stream, WRT_05_a_write_after_the_close_fails_at_the_next_drain) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        pipe.writer.write("before");
        pipe.writer.close();
        pipe.writer.write("after");
        const int error = co_await error_of(pipe.writer.drain());
        EXPECT_EQ(error, ECONNRESET);
        const std::string got = co_await pipe.reader.read();
        EXPECT_EQ(got, "before");
    });
}

TEST_P(check_stream, WRT_08_wait_closed_says_with_which_error_the_stream_has_ended) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        pipe.reader.close();
        const int error = co_await eventual_error_of(pipe.writer);
        pipe.writer.close();
        const int again = co_await error_of(pipe.writer.wait_closed());
        EXPECT_EQ(again, error);
    });
}

TEST_P(check_stream, WRT_03_closing_the_reader_ends_its_read_and_tells_the_writer) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        auto reading = create_task(pipe.reader.readline());
        co_await sleep(1ms);
        pipe.reader.close();
        pipe.reader.close();
        const std::string line = co_await reading;
        EXPECT_EQ(line, "");
        const int error = co_await eventual_error_of(pipe.writer);
        EXPECT_TRUE(means_that_the_reader_is_gone(error)) << error;
    });
}

TEST_P(check_stream, WRT_04_a_writer_that_waits_learns_that_the_reader_is_gone) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        auto sending = create_task([](const StreamWriter& writer) -> Coro<> {
            co_await writer.send(std::string(more_than_fits, 'x'));
        }(pipe.writer));
        co_await sleep(1ms);
        pipe.reader = StreamReader();
        int error = co_await error_of(std::move(sending));
        if (error == 0 && GetParam().drops_late_bytes)
            error = co_await eventual_error_of(pipe.writer);
        EXPECT_TRUE(means_that_the_reader_is_gone(error)) << error;
        EXPECT_TRUE(pipe.writer.is_closing());
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 0U);
    });
}

TEST_P(check_stream, an_aborted_writer_sends_no_more) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await make();
        pipe.writer.write(numbered_text(more_than_fits));
        pipe.writer.abort();
        EXPECT_TRUE(pipe.writer.is_closing());
        co_await pipe.writer.wait_closed();
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 0U);
        const std::string got = co_await pipe.reader.read();
        EXPECT_LT(got.size(), more_than_fits);
        EXPECT_TRUE(got == numbered_text(more_than_fits).substr(0, got.size()));
        const int error = co_await error_of(pipe.writer.send("late"));
        EXPECT_EQ(error, ECONNRESET);
    });
}

TEST_P(check_stream, handles_may_go_at_any_time) {
    run_fed_test([]() -> Coro<> {
        for (int steps = 0; steps < 4; ++steps) {
            Pipe pipe = co_await make();
            auto reading = create_task(pipe.reader.read());
            for (int i = 0; i < steps; ++i) co_await sleep(0ns);
            pipe.writer.write(numbered_text(more_than_fits));
            for (int i = 0; i < steps; ++i) co_await sleep(0ns);
            pipe.writer = StreamWriter();
            pipe.reader = StreamReader();
            const std::string got = co_await reading;
            EXPECT_LT(got.size(), more_than_fits);
        }
    });
}

TEST_P(check_stream, a_loop_that_closes_ends_the_streams_that_are_left) {
    const support::LogCapture log;
    Pipe left;
    {
        support::TestLoop loop;
        loop->run_until_complete([&]() -> Coro<> {
            left = co_await make();
            left.writer.write(numbered_text(more_than_fits));
        }());
        loop->close();
        EXPECT_TRUE(left.reader.is_closing());
        EXPECT_TRUE(left.writer.is_closing());
        EXPECT_EQ(left.writer.get_write_buffer_size(), 0U);
    }
    // The handles are dropped when the loop has gone.
}

TEST_P(check_stream, a_read_that_waits_when_the_loop_closes_is_cancelled) {
    const support::LogCapture log;
    support::TestLoop loop;
    bool cancelled = false;
    Pipe left;
    loop->run_until_complete([&]() -> Coro<> {
        left = co_await make();
        create_task([](const StreamReader& reader, bool& was_cancelled) -> Coro<> {
            try {
                co_await reader.read(1);
            } catch (const CancelledError&) {
                was_cancelled = true;
                throw;
            }
        }(left.reader, cancelled));
        co_await sleep(1ms);
    }());
    loop->close();
    EXPECT_TRUE(cancelled);
}

}  // namespace
