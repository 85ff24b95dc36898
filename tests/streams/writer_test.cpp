// Goal: what is written arrives whole and in order, writers wait when they should and only then,
// and whoever writes to nobody learns of it.
// Method: a pipe of the back-end, whose 64 KiB are easily filled.

#include <asyncio/testing/seed.h>

#include "streams/stream_help.h"

#include <cerrno>
#include <stdexcept>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;
using support::run_test;
using support::Ticks;

/// More than the pipe and the high mark hold together.
constexpr std::size_t too_much = 300'000;

Coro<> drain_and_count(const StreamWriter& writer, int& drained) {
    co_await writer.drain();
    ++drained;
}

/// Tasks that drain, as many as asked for, and have begun to.
Coro<std::vector<Task<>>> drainers(const StreamWriter& writer, int count, int& drained) {
    std::vector<Task<>> tasks;
    for (int i = 0; i < count; ++i) tasks.push_back(create_task(drain_and_count(writer, drained)));
    co_await sleep(1ms);
    co_return tasks;
}

Coro<> expect_each_fails_with(std::vector<Task<>> tasks, int expected) {
    for (Task<>& task : tasks) {
        const int error = co_await error_of(std::move(task));
        EXPECT_EQ(error, expected);
    }
}

// --- What arrives -------------------------------------------------------------------------------

TEST(writer, everything_written_arrives_in_order) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        auto reading = create_task(pipe.reader.read());
        std::string expected;
        for (int i = 0; i < 200; ++i) {
            const std::string piece = numbered_text(static_cast<std::size_t>(i * 37));
            expected += piece + piece + piece;
            pipe.writer.write(piece);
            pipe.writer.write(std::string(piece));
            co_await pipe.writer.send(piece);
        }
        pipe.writer.write_eof();
        const std::string got = co_await reading;
        EXPECT_TRUE(got == expected) << got.size() << " of " << expected.size();
    });
}

TEST(writer, writelines_writes_all_of_them) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const std::vector<std::string> lines{"a\n", "", "b\n"};
        pipe.writer.writelines(lines);
        pipe.writer.writelines(std::array<std::string_view, 2>{"c\n", "d\n"});
        pipe.writer.close();
        const std::string got = co_await pipe.reader.read();
        EXPECT_EQ(got, "a\nb\nc\nd\n");
    });
}

TEST(writer, write_hands_to_the_kernel_what_it_takes_at_once) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC | O_NONBLOCK));
        const StreamWriter writer(get_running_loop(), lowlevel::Fd(::dup(null.get())));
        writer.write("gone");
        EXPECT_EQ(writer.get_write_buffer_size(), 0U);
        co_return;
    });
}

TEST(writer, PIP_03_the_end_comes_after_what_is_buffered) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const std::string text = numbered_text(too_much);
        pipe.writer.write(text);
        pipe.writer.write_eof();
        pipe.writer.write_eof();
        EXPECT_TRUE(pipe.writer.is_closing());
        EXPECT_GT(pipe.writer.get_write_buffer_size(), 0U);
        const std::string got = co_await pipe.reader.read();
        EXPECT_TRUE(got == text);
        co_await pipe.writer.wait_closed();
    });
}

TEST(writer, closed_and_dropped_still_sends_what_is_buffered) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const std::string text = numbered_text(too_much);
        pipe.writer.write(text);
        pipe.writer.close();
        pipe.writer = StreamWriter();
        const std::string got = co_await pipe.reader.read();
        EXPECT_TRUE(got == text);
    });
}

// --- Waiting ------------------------------------------------------------------------------------

TEST(writer, WRT_01_drain_below_the_high_mark_does_not_suspend) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.write(numbered_text(10'000));
        const Ticks ticks;
        co_await pipe.writer.drain();
        EXPECT_EQ(ticks.count(), 0);
        pipe.writer.abort();
    });
}

TEST(writer, WRT_01_drain_above_the_high_mark_waits_for_the_low_one) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        // The reader takes 64 KiB out of the pipe at once: after the first time what is buffered is
        // between the marks.
        pipe.writer.set_write_buffer_limits(64 * 1024, 1024);
        pipe.writer.write(numbered_text((64 + 64 + 48) * 1024));
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 1, drained);
        EXPECT_EQ(drained, 0);
        while (drained == 0) {
            EXPECT_GT(pipe.writer.get_write_buffer_size(), 1024U);
            const std::string part = co_await pipe.reader.read(4096);
            EXPECT_FALSE(part.empty());
            co_await sleep(1ms);
        }
        EXPECT_LE(pipe.writer.get_write_buffer_size(), 1024U);
        co_await tasks[0];
        pipe.writer.abort();
    });
}

TEST(writer, TRN_05_the_low_mark_is_a_quarter_of_a_high_one_that_is_given_alone) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.set_write_buffer_limits(64 * 1024);
        pipe.writer.write(numbered_text((64 + 80) * 1024));
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 1, drained);
        while (drained == 0) {
            EXPECT_GT(pipe.writer.get_write_buffer_size(), 16U * 1024);
            co_await pipe.reader.readexactly(4096);
            co_await sleep(1ms);
        }
        EXPECT_LE(pipe.writer.get_write_buffer_size(), 16U * 1024);
        // Under a seed the pipe may take the rest at the same moment.
        if (!asyncio::testing::seed_is_given()) {
            EXPECT_GT(pipe.writer.get_write_buffer_size(), 0U);
        }
        co_await tasks[0];
        pipe.writer.abort();
    });
}

TEST(writer, WRT_01_higher_marks_release_who_waits_below_them) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.set_write_buffer_limits(1000, 100);
        pipe.writer.write(numbered_text(too_much));
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 1, drained);
        EXPECT_EQ(drained, 0);
        pipe.writer.set_write_buffer_limits(2 * too_much, too_much);
        co_await sleep(1ms);
        EXPECT_EQ(drained, 1);
        co_await tasks[0];
        pipe.writer.abort();
    });
}

TEST(writer, WRT_02_ten_tasks_in_drain_are_released_together) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.write(numbered_text(too_much));
        const Ticks ticks;
        std::vector<int> iterations;
        const auto note_drained = [&]() -> Coro<> {
            co_await pipe.writer.drain();
            iterations.push_back(ticks.count());
        };
        std::vector<Task<>> tasks;
        for (int i = 0; i < 10; ++i) tasks.push_back(create_task(note_drained()));
        co_await sleep(1ms);
        EXPECT_TRUE(iterations.empty());
        const std::string got = co_await pipe.reader.readexactly(too_much);
        EXPECT_EQ(got.size(), too_much);
        co_await gather(std::move(tasks));
        // The node that counts stands somewhere between them.
        EXPECT_LE(iterations.back() - iterations.front(), 1) << "in one iteration";
        EXPECT_EQ(iterations.size(), 10U);
    });
}

TEST(writer, TRN_05_with_a_high_mark_of_zero_every_buffered_byte_makes_drain_wait) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.set_write_buffer_limits(0);
        pipe.writer.write("taken at once");
        co_await pipe.writer.drain();
        std::size_t written = 13;
        // A pipe that has room may still take a byte later than at once.
        for (; pipe.writer.get_write_buffer_size() == 0; ++written) {
            pipe.writer.write("x");
            co_await sleep(0ms);
            if (pipe.writer.get_write_buffer_size() > 0) co_await sleep(20ms);
        }
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 1U);
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 1, drained);
        EXPECT_EQ(drained, 0);
        co_await pipe.reader.readexactly(written);
        co_await tasks[0];
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 0U);
    });
}

TEST(writer, WRT_13_writelines_of_much_data_makes_drain_wait) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.writelines(std::vector<std::string>(10, numbered_text(too_much / 10)));
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 1, drained);
        EXPECT_EQ(drained, 0);
        const std::string got = co_await pipe.reader.readexactly(too_much);
        co_await tasks[0];
        EXPECT_EQ(drained, 1);
    });
}

TEST(writer, a_cancelled_drain_takes_nothing_back) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const std::string text = numbered_text(too_much);
        pipe.writer.write(text);
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 3, drained);
        tasks[1].cancel();
        co_await sleep(1ms);
        EXPECT_TRUE(tasks[1].cancelled());
        const std::string got = co_await pipe.reader.readexactly(too_much);
        EXPECT_TRUE(got == text);
        co_await tasks[0];
        co_await tasks[2];
        EXPECT_EQ(drained, 2);
    });
}

TEST(writer, send_returns_when_the_kernel_has_all_of_it) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const std::string text = numbered_text(too_much);
        auto sending = ensure_future(pipe.writer.send(text));
        co_await sleep(1ms);
        EXPECT_FALSE(sending.done());
        std::string got = co_await pipe.reader.readexactly(too_much - 64 * 1024 - 1);
        co_await sending;
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 0U);
        got += co_await pipe.reader.readexactly(64 * 1024 + 1);
        EXPECT_TRUE(got == text);
    });
}

TEST(writer, a_cancelled_send_still_sends_the_whole_message) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const std::string text = numbered_text(too_much);
        auto sending = ensure_future(pipe.writer.send(text));
        co_await sleep(1ms);
        sending.cancel();
        const auto outcome = co_await internal::settle(std::move(sending));
        EXPECT_TRUE(outcome.cancelled());
        pipe.writer.write("next");
        pipe.writer.close();
        const std::string got = co_await pipe.reader.read();
        EXPECT_TRUE(got == text + "next");
    });
}

TEST(writer, TRN_05_a_low_mark_given_alone_makes_the_high_one_four_times_as_large) {
    run_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        WriteBufferLimits limits = pipe.writer.get_write_buffer_limits();
        EXPECT_EQ(limits.high, 64U * 1024);
        EXPECT_EQ(limits.low, 16U * 1024);
        pipe.writer.set_write_buffer_limits({.low = 100});
        limits = pipe.writer.get_write_buffer_limits();
        EXPECT_EQ(limits.high, 400U);
        EXPECT_EQ(limits.low, 100U);
        pipe.writer.set_write_buffer_limits({.high = 8});
        EXPECT_EQ(pipe.writer.get_write_buffer_limits().low, 2U);
        pipe.writer.set_write_buffer_limits(WriteBufferLimits());
        EXPECT_EQ(pipe.writer.get_write_buffer_limits().high, 64U * 1024);
    });
}

TEST(writer, TRN_05_low_mark_above_the_high_one_is_refused) {
    run_test([]() -> Coro<> {
        const Pipe pipe = co_await open_pipe();
        EXPECT_THROW(pipe.writer.set_write_buffer_limits(10, 11), std::invalid_argument);
    });
}

TEST(writer, that_never_has_to_wait_lets_others_run) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC | O_NONBLOCK));
        const StreamWriter writer(get_running_loop(), lowlevel::Fd(::dup(null.get())));
        const Ticks ticks;
        for (int i = 0; i < 1000; ++i) co_await writer.send("x");
        EXPECT_GE(ticks.count(), 1000 / 32);
    });
}

TEST(writer, much_at_once_to_one_who_takes_it_lets_others_run) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC | O_NONBLOCK));
        const StreamWriter writer(get_running_loop(), lowlevel::Fd(::dup(null.get())));
        const Ticks ticks;
        co_await writer.send(std::string(100 * 1024 * 1024, 'x'));
        EXPECT_GE(ticks.count(), 2);
    });
}

// --- Nobody reads -------------------------------------------------------------------------------

TEST(writer, WRT_03_writing_to_nobody_ends_with_an_error) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe({.name = "the pipe"});
        pipe.reader.close();
        std::string said;
        int rounds = 0;
        try {
            for (; rounds < 1000; ++rounds) {
                pipe.writer.write("x");
                co_await pipe.writer.drain();
                co_await sleep(1ms);
            }
        } catch (const OsError& error) {
            said = error.what();
            EXPECT_EQ(error.error(), EPIPE);
        }
        EXPECT_EQ(said, "write to the pipe: Broken pipe");
        EXPECT_LT(rounds, 1000);
        EXPECT_TRUE(pipe.writer.is_closing());
        EXPECT_EQ(pipe.writer.get_write_buffer_size(), 0U);
    });
}

TEST(writer, WRT_03_writes_and_drains_alone_let_the_reader_go) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        const Ticks ticks;
        const auto close_soon = [&]() -> Coro<> {
            for (int step = 0; step < 3; ++step) co_await sleep(0ms);
            pipe.reader.close();
        };
        Task<> closing = create_task(close_soon());
        int error = 0;
        int rounds = 0;
        // Fewer than the pipe and the high mark hold, so no drain has to wait. If the pipe takes
        // less than it has room for, the writer keeps the rest, and waits at the high mark.
        const auto is_kept = [&] { return pipe.writer.get_write_buffer_size() > 0; };
        for (; error == 0 && (rounds < 60'000 || is_kept()); ++rounds) {
            pipe.writer.write("x");
            error = co_await error_of(pipe.writer.drain());
        }
        EXPECT_EQ(error, EPIPE) << rounds;
        EXPECT_GE(ticks.count(), 3);
        co_await closing;
    });
}

/// Python's transport watches the pipe; this writer asks the kernel only for what the program does.
TEST(writer, PIP_02_that_the_reader_has_gone_is_learnt_by_the_next_write) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.reader.close();
        const auto wait = [&]() -> Coro<> { co_await pipe.writer.wait_closed(); };
        const bool still_waits = co_await move_on_after(5ms, wait);
        EXPECT_TRUE(still_waits);
        EXPECT_FALSE(pipe.writer.is_closing());
        const int error = co_await eventual_error_of(pipe.writer);
        EXPECT_EQ(error, EPIPE);
        EXPECT_TRUE(pipe.writer.is_closing());
    });
}

TEST(writer, WRT_04_an_error_reaches_everybody_in_drain) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.write(numbered_text(too_much));
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 5, drained);
        pipe.reader.close();
        co_await expect_each_fails_with(std::move(tasks), EPIPE);
        EXPECT_EQ(drained, 0);
        const int error = co_await error_of(pipe.writer.drain());
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(writer, WRT_04_a_clean_end_releases_everybody_in_drain_and_the_next_one_fails) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.write(numbered_text(too_much));
        int drained = 0;
        auto tasks = co_await drainers(pipe.writer, 5, drained);
        pipe.writer.abort();
        co_await gather(std::move(tasks));
        EXPECT_EQ(drained, 5);
        const int error = co_await error_of(pipe.writer.drain());
        EXPECT_EQ(error, ECONNRESET);
    });
}

TEST(writer, what_an_abort_loses_was_not_sent) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        auto sending = ensure_future(pipe.writer.send(numbered_text(too_much)));
        co_await sleep(1ms);
        pipe.writer.abort();
        pipe.writer.abort();
        const int error = co_await error_of(std::move(sending));
        EXPECT_EQ(error, ECONNRESET);
        const std::string got = co_await pipe.reader.read();
        EXPECT_LT(got.size(), too_much);
        EXPECT_TRUE(numbered_text(too_much).starts_with(got));
    });
}

TEST(writer, WRT_05_a_write_after_close_fails_at_drain_and_nothing_is_logged) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.close();
        pipe.writer.write("too late");
        int error = co_await error_of(pipe.writer.drain());
        EXPECT_EQ(error, ECONNRESET);
        error = co_await error_of(pipe.writer.send("too late"));
        EXPECT_EQ(error, ECONNRESET);
        co_await pipe.writer.wait_closed();
        const std::string got = co_await pipe.reader.read();
        EXPECT_EQ(got, "");
    });
}

TEST(writer, WRT_08_an_abort_after_an_error_does_not_hide_it) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.reader.close();
        int error = co_await eventual_error_of(pipe.writer);
        EXPECT_EQ(error, EPIPE);
        pipe.writer.abort();
        error = co_await error_of(pipe.writer.wait_closed());
        EXPECT_EQ(error, EPIPE);
        error = co_await error_of(pipe.writer.drain());
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(writer, WRT_08_wait_closed_throws_the_error_the_stream_ended_with) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.reader.close();
        int error = co_await eventual_error_of(pipe.writer);
        EXPECT_EQ(error, EPIPE);
        pipe.writer.close();
        error = co_await error_of(pipe.writer.wait_closed());
        EXPECT_EQ(error, EPIPE);
        error = co_await error_of(pipe.writer.wait_closed());
        EXPECT_EQ(error, EPIPE) << "each time";
        // And if nobody asks, nobody hears of it.
        Pipe unasked = co_await open_pipe();
        unasked.reader.close();
        for (int i = 0; i < 1000 && !unasked.writer.is_closing(); ++i) {
            unasked.writer.write("x");
            co_await sleep(1ms);
        }
        EXPECT_TRUE(unasked.writer.is_closing());
    });
}

TEST(writer, a_cancelled_wait_closed_does_not_stop_the_closing) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        pipe.writer.write(numbered_text(too_much));
        pipe.writer.close();
        auto waiting = ensure_future(pipe.writer.wait_closed());
        co_await sleep(1ms);
        waiting.cancel();
        const auto outcome = co_await internal::settle(std::move(waiting));
        EXPECT_TRUE(outcome.cancelled());
        const std::string got = co_await pipe.reader.read();
        EXPECT_EQ(got.size(), too_much);
        co_await pipe.writer.wait_closed();
    });
}

// --- Dropped ------------------------------------------------------------------------------------

TEST(writer, WRT_09_dropped_without_close_loses_what_is_buffered_and_debug_mode_says_so) {
    for (const bool debug : {false, true}) {
        run_test([debug]() -> Coro<> {
            get_running_loop().set_debug(debug);
            Pipe pipe = co_await open_pipe({.name = "the pipe"});
            pipe.writer.write(numbered_text(too_much));
            pipe.writer = StreamWriter();
            // The write that was in flight may still have found room.
            const std::string got = co_await pipe.reader.read();
            EXPECT_LT(got.size(), too_much);
            EXPECT_TRUE(numbered_text(too_much).starts_with(got));
            std::string logged;
            for (const std::string& line : support::LogCapture::take()) logged += line;
            EXPECT_EQ(support::contains(logged, "bytes for the pipe are lost"), debug) << logged;
            get_running_loop().set_debug(false);
        });
    }
}

TEST(writer, dropped_while_others_wait_releases_them) {
    run_test([]() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        auto sending = ensure_future(pipe.writer.send(numbered_text(too_much)));
        auto closing = ensure_future(pipe.writer.wait_closed());
        co_await sleep(1ms);
        pipe.writer = StreamWriter();
        const int error = co_await error_of(std::move(sending));
        EXPECT_EQ(error, ECONNRESET);
        co_await closing;
    });
}

TEST(writer, a_handle_without_a_stream_says_so) {
    run_test([]() -> Coro<> {
        const StreamWriter none;
        EXPECT_FALSE(none);
        EXPECT_THROW(none.write("x"), RuntimeError);
        EXPECT_THROW((void)none.drain(), RuntimeError);
        none.close();
        none.abort();
        co_return;
    });
}

}  // namespace
