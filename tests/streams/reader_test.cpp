// Goal: every read gives what it promises, however the bytes arrive, and keeps what it does not
// give.
// Method: a pipe of the back-end, fed in pieces; under a seed the simulated one cuts them further.

#include "streams/stream_help.h"

#include <cerrno>
#include <stdexcept>

#include <sys/socket.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;
using support::run_test;
using Separators = std::vector<std::string_view>;

// --- read(n) ------------------------------------------------------------------------------------

TEST(reader, STR_01_read_gives_what_is_there_and_nothing_at_the_end_alone) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await reader_of("hello", "world");
        std::string all;
        for (;;) {
            const std::string piece = co_await reader.read(3);
            EXPECT_LE(piece.size(), 3U);
            if (piece.empty()) break;
            all += piece;
        }
        EXPECT_EQ(all, "helloworld");
        EXPECT_TRUE(reader.at_eof());
        const std::string again = co_await reader.read(3);
        EXPECT_EQ(again, "");
    });
}

TEST(reader, STR_01_read_of_nothing_gives_nothing_and_does_not_wait) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        const std::string nothing = co_await pipe.reader.read(0);
        EXPECT_EQ(nothing, "");
        EXPECT_FALSE(pipe.reader.at_eof());
    });
}

TEST(reader, STR_10_a_negative_count_is_refused_not_taken_for_much) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        EXPECT_THROW((void)pipe.reader.read(static_cast<std::size_t>(-1)), std::invalid_argument);
        EXPECT_THROW((void)pipe.reader.readexactly(static_cast<std::size_t>(-1)),
                     std::invalid_argument);
    });
}

TEST(reader, what_is_buffered_is_given_without_a_suspension) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await limited_reader_of(4, "0123456789");
        const auto refused = co_await internal::settle(reader.readline());
        EXPECT_THROW(refused.value(), LimitOverrunError) << "so there are five bytes at least";
        const support::Ticks ticks;
        std::string part = co_await reader.read(2);
        part += co_await reader.readexactly(2);
        part += co_await reader.readuntil("4");
        EXPECT_EQ(part, "01234");
        EXPECT_EQ(ticks.count(), 0);
    });
}

// --- read() until the end -----------------------------------------------------------------------

TEST(reader, STR_02_read_until_the_end_is_not_stopped_by_the_limit) {
    run_fed_test([]() -> Coro<> {
        const std::string text = numbered_text(300'000);
        const StreamReader reader = co_await limited_reader_of(16, text, "the end");
        const std::string all = co_await reader.read();
        EXPECT_TRUE(all == text + "the end");
        const std::string after = co_await reader.read();
        EXPECT_EQ(after, "");
    });
}

// --- Lines --------------------------------------------------------------------------------------

TEST(reader, STR_03_readline_gives_the_partial_line_at_the_end_then_nothing) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await reader_of("one\ntw", "o\n", "thr", "ee");
        for (const char* expected : {"one\n", "two\n", "three", "", ""}) {
            const std::string line = co_await reader.readline();
            EXPECT_EQ(line, expected);
        }
    });
}

TEST(reader, STR_04_a_line_beyond_the_limit_stays_in_the_buffer) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await limited_reader_of(4, "0123456789\nnext\n");
        bool refused = false;
        try {
            const std::string line = co_await reader.readline();
            ADD_FAILURE() << line;
        } catch (const LimitOverrunError& error) {
            refused = true;
            EXPECT_GT(error.consumed(), 4U);
            EXPECT_LE(error.consumed(), 10U);
        }
        EXPECT_TRUE(refused);
        const std::string line = co_await reader.readexactly(11);
        EXPECT_EQ(line, "0123456789\n") << "nothing was discarded";
    });
}

TEST(reader, STR_05_a_line_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await limited_reader_of(5, "12345\n", "123456\n");
        const std::string line = co_await reader.readline();
        EXPECT_EQ(line, "12345\n");
        const auto outcome = co_await internal::settle(reader.readline());
        EXPECT_THROW(outcome.value(), LimitOverrunError);
    });
}

TEST(reader, STR_05_the_end_of_a_line_of_exactly_the_limit_may_come_later) {
    run_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe({.limit = 5});
        auto line = create_task(pipe.reader.readline());
        pipe.writer.write("12345");
        co_await sleep(5ms);
        EXPECT_FALSE(line.done());
        pipe.writer.write("\n");
        const std::string got = co_await line;
        EXPECT_EQ(got, "12345\n");
    });
}

// --- Separators ---------------------------------------------------------------------------------

TEST(reader, STR_06_a_separator_beyond_the_limit_leaves_the_buffer_as_it_is) {
    for (const bool separator_comes : {false, true}) {
        run_fed_test([separator_comes]() -> Coro<> {
            std::string sent = "0123456789";
            if (separator_comes) sent += "END";
            const StreamReader reader = co_await limited_reader_of(4, sent);
            std::size_t consumed = 0;
            try {
                const std::string chunk = co_await reader.readuntil("END");
                ADD_FAILURE() << chunk;
            } catch (const LimitOverrunError& error) {
                consumed = error.consumed();
            }
            EXPECT_GT(consumed, 4U);
            EXPECT_LE(consumed, 10U) << "may be read away without touching the separator";
            const std::string all = co_await reader.read();
            EXPECT_EQ(all, sent);
        });
    }
}

TEST(reader, STR_07_a_separator_that_comes_in_pieces_is_found) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await reader_of("dataEN", "", "D", "moreEEN", "DEN", "D");
        for (const char* expected : {"dataEND", "moreEEND", "END"}) {
            const std::string chunk = co_await reader.readuntil("END");
            EXPECT_EQ(chunk, expected);
        }
    });
}

TEST(reader, STR_08_of_several_separators_the_one_that_ends_first_wins) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await reader_of("ABCDE", "F", "x\r\ny\nz");
        const Separators overlapping{"BCDE", "C", "AB"};
        std::string chunk = co_await reader.readuntil(overlapping);
        EXPECT_EQ(chunk, "AB");
        const Separators longer{"a separator longer than all there is", "F"};
        chunk = co_await reader.readuntil(longer);
        EXPECT_EQ(chunk, "CDEF");
        const Separators newlines{"\n", "\r\n"};
        chunk = co_await reader.readuntil(newlines);
        EXPECT_EQ(chunk, "x\r\n");
        chunk = co_await reader.readuntil(newlines);
        EXPECT_EQ(chunk, "y\n");
    });
}

TEST(reader, readuntil_at_the_end_gives_what_there_was_in_its_error) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await reader_of("no sepa", "rator");
        try {
            const std::string chunk = co_await reader.readuntil("END");
            ADD_FAILURE() << chunk;
        } catch (const IncompleteReadError& error) {
            EXPECT_EQ(error.partial(), "no separator");
            EXPECT_EQ(error.expected(), 0U);
        }
        EXPECT_TRUE(reader.at_eof());
    });
}

TEST(reader, an_empty_separator_is_refused) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        const Separators none;
        EXPECT_THROW((void)pipe.reader.readuntil(""), std::invalid_argument);
        EXPECT_THROW((void)pipe.reader.readuntil(none), std::invalid_argument);
    });
}

TEST(reader, PIP_01_a_pipe_gives_its_data_then_the_end_and_is_closed_once) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.write("1");
        std::string got = co_await pipe.reader.read(10);
        EXPECT_EQ(got, "1");
        pipe.writer.write("2345");
        pipe.writer.close();
        got = co_await pipe.reader.readexactly(4);
        EXPECT_EQ(got, "2345");
        EXPECT_FALSE(pipe.reader.at_eof());
        for (int i = 0; i < 2; ++i) {
            got = co_await pipe.reader.read(10);
            EXPECT_EQ(got, "");
            EXPECT_TRUE(pipe.reader.at_eof());
        }
        for (int i = 0; i < 2; ++i) {
            pipe.reader.close();
            EXPECT_TRUE(pipe.reader.is_closing());
            got = co_await pipe.reader.read(10);
            EXPECT_EQ(got, "");
        }
    });
}

// --- readexactly --------------------------------------------------------------------------------

TEST(reader, STR_10_STR_12_readexactly_is_not_bound_by_the_limit) {
    run_fed_test([]() -> Coro<> {
        const std::string text = numbered_text(200'000);
        const StreamReader reader = co_await limited_reader_of(16, text);
        std::string part = co_await reader.readexactly(0);
        EXPECT_EQ(part, "");
        part = co_await reader.readexactly(150'000);
        EXPECT_TRUE(part == text.substr(0, 150'000));
        part = co_await reader.readexactly(50'000);
        EXPECT_TRUE(part == text.substr(150'000));
    });
}

TEST(reader, TRN_14_a_read_into_no_room_gives_nothing_and_does_not_wait) {
    run_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        std::size_t count = co_await pipe.reader.read_into({});
        EXPECT_EQ(count, 0U);
        EXPECT_FALSE(pipe.reader.at_eof());
        pipe.writer.write("x");
        co_await sleep(1ms);
        count = co_await pipe.reader.read_into({});
        EXPECT_EQ(count, 0U);
        const std::string got = co_await pipe.reader.read(10);
        EXPECT_EQ(got, "x") << "it took nothing";
    });
}

TEST(reader, STR_11_readexactly_of_more_than_there_is_gives_it_in_its_error) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await reader_of("par", "tial");
        try {
            const std::string part = co_await reader.readexactly(10);
            ADD_FAILURE() << part;
        } catch (const IncompleteReadError& error) {
            EXPECT_EQ(error.partial(), "partial");
            EXPECT_EQ(error.expected(), 10U);
        }
        const std::string rest = co_await reader.read();
        EXPECT_EQ(rest, "");
    });
}

// --- Errors -------------------------------------------------------------------------------------

TEST(reader, STR_13_an_error_meets_every_later_read_before_what_is_buffered) {
    run_fed_test([]() -> Coro<> {
        // A socket that is closed with unread bytes in it resets its peer.
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        const StreamReader reader = connect_read_pipe(lowlevel::Fd(ends[0]), {.name = "a peer"});
        EXPECT_EQ(::write(ends[0], "unread", 6), 6);
        EXPECT_EQ(::write(ends[1], "abc", 3), 3);
        ::close(ends[1]);
        for (int i = 0; i < 3; ++i) {
            std::string said;
            try {
                const std::string got = co_await reader.readexactly(10);
                ADD_FAILURE() << got;
            } catch (const OsError& error) {
                EXPECT_EQ(error.error(), ECONNRESET);
                said = error.what();
            }
            EXPECT_EQ(said, "read from a peer: Connection reset by peer");
        }
        EXPECT_EQ(reader.take_buffered(), "abc") << "not lost for who asks for it by name";
    });
}

/// Reads in the way with this number; there are six.
Coro<> read_somehow(const StreamReader& reader, int way) {
    char room[10];
    switch (way) {
        case 0: co_await reader.read(1); break;
        case 1: co_await reader.read(); break;
        case 2: co_await reader.readline(); break;
        case 3: co_await reader.readuntil("|"); break;
        case 4: co_await reader.readexactly(1); break;
        default: co_await reader.read_into(room);
    }
}

TEST(reader, STR_13_an_error_meets_every_way_to_read_and_a_read_that_waits) {
    run_test([]() -> Coro<> {
        for (int way = 0; way < 6; ++way) {
            int ends[2];
            EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
            const StreamReader reader = connect_read_pipe(lowlevel::Fd(ends[0]));
            // A socket that is closed with unread bytes in it resets its peer.
            EXPECT_EQ(::write(ends[0], "unread", 6), 6);
            EXPECT_EQ(reader.exception(), nullptr);
            Task<> waiting = create_task(read_somehow(reader, way));
            co_await sleep(1ms);
            EXPECT_FALSE(waiting.done());
            ::close(ends[1]);
            int error = co_await error_of(std::move(waiting));
            EXPECT_EQ(error, ECONNRESET) << way;
            for (int later = 0; later < 6; ++later) {
                error = co_await error_of(read_somehow(reader, later));
                EXPECT_EQ(error, ECONNRESET) << later;
            }
        }
    });
}

TEST(reader, STR_13_an_error_comes_before_what_is_buffered_in_every_way_to_read) {
    run_test([]() -> Coro<> {
        for (int way = 0; way < 6; ++way) {
            int ends[2];
            EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
            const StreamReader reader = connect_read_pipe(lowlevel::Fd(ends[0]));
            EXPECT_EQ(::write(ends[0], "unread", 6), 6);
            EXPECT_EQ(::write(ends[1], "a|b\n", 4), 4);
            ::close(ends[1]);
            const int first = co_await error_of(reader.readexactly(10));
            EXPECT_EQ(first, ECONNRESET);
            const int error = co_await error_of(read_somehow(reader, way));
            EXPECT_EQ(error, ECONNRESET) << way;
            EXPECT_THROW(std::rethrow_exception(reader.exception()), OsError);
            EXPECT_EQ(reader.take_buffered(), "a|b\n");
        }
    });
}

TEST(reader, STR_15_a_second_reader_is_refused_and_the_first_goes_on) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        auto first = create_task(pipe.reader.readexactly(6));
        co_await sleep(1ms);
        co_await pipe.writer.send("abc");
        co_await sleep(1ms);
        auto refused = co_await internal::settle(pipe.reader.read(1));
        EXPECT_THROW(refused.value(), RuntimeError) << "not even what the first has gathered";
        refused = co_await internal::settle(pipe.reader.readline());
        EXPECT_THROW(refused.value(), RuntimeError);
        co_await pipe.writer.send("def");
        const std::string got = co_await first;
        EXPECT_EQ(got, "abcdef");
        co_await pipe.writer.send("ghi");
        const std::string after = co_await pipe.reader.readexactly(3);
        EXPECT_EQ(after, "ghi");
    });
}

TEST(reader, a_handle_without_a_stream_says_so) {
    run_fed_test([]() -> Coro<> {
        const StreamReader none;
        EXPECT_FALSE(none);
        EXPECT_THROW((void)none.read(1), RuntimeError);
        EXPECT_THROW((void)none.at_eof(), RuntimeError);
        none.close();
        Pipe pipe = co_await open_pipe();
        const StreamReader moved = std::move(pipe.reader);
        EXPECT_TRUE(moved);
        EXPECT_FALSE(pipe.reader);
    });
}

TEST(reader, of_another_loop_is_refused) {
    const support::LogCapture log;
    support::TestLoop first;
    support::TestLoop second;
    RealPipe ends;
    ::fcntl(ends.reading.get(), F_SETFL, O_NONBLOCK);
    const StreamReader reader(*first, std::move(ends.reading));
    EXPECT_THROW(second->run_until_complete(reader.read(1)), RuntimeError);
    EXPECT_THROW(second->run_until_complete(reader.readline()), RuntimeError);
}

// --- Memory -------------------------------------------------------------------------------------

TEST(reader, STR_16_what_nobody_reads_stays_with_the_writer) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        pipe.writer.write(numbered_text(1'000'000));
        const std::string first = co_await pipe.reader.read(1);
        EXPECT_EQ(first, "0");
        co_await sleep(10ms);
        EXPECT_GT(pipe.writer.get_write_buffer_size(), 800'000U);
        EXPECT_LE(pipe.reader.take_buffered().size(), 64U * 1024);
        pipe.writer.abort();
    });
}

TEST(reader, take_buffered_takes_what_is_there_also_while_a_read_waits) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        EXPECT_EQ(pipe.reader.take_buffered(), "");
        auto reading = create_task(pipe.reader.readexactly(50'000));
        const std::string text = numbered_text(40'000);
        co_await pipe.writer.send(text);
        std::string taken;
        while (taken.size() < text.size()) {
            co_await sleep(1ms);
            taken += pipe.reader.take_buffered();
        }
        EXPECT_TRUE(taken == text);
        co_await pipe.writer.send(numbered_text(50'000));
        const std::string rest = co_await reading;
        EXPECT_TRUE(rest == numbered_text(50'000)) << "counts from what was left";
    });
}

// --- Closing ------------------------------------------------------------------------------------

TEST(reader, that_never_has_to_wait_lets_others_run) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        const StreamReader reader(get_running_loop(), lowlevel::Fd(::dup(zeros.get())));
        const support::Ticks ticks;
        for (int i = 0; i < 1000; ++i) co_await reader.read(64 * 1024);
        EXPECT_GE(ticks.count(), 1000 / 32);
    });
}

TEST(reader, two_reads_may_stand_in_one_expression) {
    run_fed_test([]() -> Coro<> {
        const StreamReader reader = co_await limited_reader_of(10, "0123456789");
        const std::size_t bytes =
            (co_await reader.read(1)).size() + (co_await reader.read(1)).size();
        EXPECT_EQ(bytes, 2U);
    });
}

TEST(reader, closed_in_the_step_in_which_bytes_come_it_has_none) {
    run_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        auto reading = create_task(pipe.reader.read(10));
        co_await sleep(1ms);
        pipe.writer.write("late");
        pipe.reader.close();
        const std::string got = co_await reading;
        EXPECT_EQ(got, "");
        const std::string more = pipe.reader.take_buffered();
        EXPECT_EQ(more, "");
        EXPECT_TRUE(pipe.reader.at_eof());
    });
}

TEST(reader, closed_while_a_read_waits_ends_that_read) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        auto reading = create_task(pipe.reader.readline());
        co_await sleep(1ms);
        EXPECT_FALSE(pipe.reader.is_closing());
        pipe.reader.close();
        pipe.reader.close();
        EXPECT_TRUE(pipe.reader.is_closing());
        const std::string line = co_await reading;
        EXPECT_EQ(line, "");
        const std::string more = co_await pipe.reader.read(1);
        EXPECT_EQ(more, "");
        EXPECT_TRUE(pipe.reader.at_eof());
        const int error = co_await eventual_error_of(pipe.writer);
        EXPECT_EQ(error, EPIPE) << "the descriptor is closed";
    });
}

TEST(reader, dropped_while_a_read_waits_ends_that_read) {
    run_fed_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        auto reading = create_task([](Coro<std::string> line) -> Coro<std::string> {
            co_return co_await std::move(line);
        }(pipe.reader.readline()));
        co_await sleep(1ms);
        pipe.reader = StreamReader();
        const std::string line = co_await reading;
        EXPECT_EQ(line, "");
        const int error = co_await eventual_error_of(pipe.writer);
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(reader, cancelled_and_closed_at_once_is_cancelled_and_closed) {
    run_fed_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        auto reading = create_task(pipe.reader.readline());
        co_await sleep(1ms);
        reading.cancel();
        pipe.reader.close();
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        const int error = co_await eventual_error_of(pipe.writer);
        EXPECT_EQ(error, EPIPE);
    });
}

}  // namespace
