// Goal: descriptors that come from elsewhere are treated as they must be, and every descriptor is
// closed exactly once, when nothing is in flight on it.
// Method: real pipes, files, terminals; a back-end that watches; the process's list of descriptors.

#include "streams/stream_help.h"
#include "support/descriptors.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fstream>

#include <sys/stat.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using namespace streams_test;
using lowlevel::Fd;
using support::open_descriptors;
using support::run_test;

bool is_non_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

// --- Pipes --------------------------------------------------------------------------------------

TEST(descriptors, a_pipe_from_elsewhere_is_switched_to_non_blocking_mode) {
    run_test([]() -> Coro<> {
        RealPipe ends;
        const int reading = ends.reading.get();
        const int writing = ends.writing.get();
        const StreamReader reader = connect_read_pipe(std::move(ends.reading));
        const StreamWriter writer = connect_write_pipe(std::move(ends.writing));
        EXPECT_TRUE(is_non_blocking(reading));
        EXPECT_TRUE(is_non_blocking(writing));
        auto all = create_task(reader.read());
        const std::string text = numbered_text(500'000);
        co_await writer.send(text);
        writer.close();
        const std::string got = co_await all;
        EXPECT_TRUE(got == text);
    });
}

TEST(descriptors, a_shared_pipe_keeps_its_mode_and_never_blocks) {
    // Both ends are blocking, in one thread: a call that blocked would block for ever.
    run_test([]() -> Coro<> {
        RealPipe ends;
        const int reading = ends.reading.get();
        const int writing = ends.writing.get();
        const StreamReader reader = connect_read_pipe(std::move(ends.reading), {.shared = true});
        const StreamWriter writer = connect_write_pipe(std::move(ends.writing), {.shared = true});
        EXPECT_FALSE(is_non_blocking(reading));
        EXPECT_FALSE(is_non_blocking(writing));
        auto all = create_task(reader.read());
        co_await sleep(1ms);
        EXPECT_FALSE(all.done());
        const std::string text = numbered_text(500'000);
        co_await writer.send(text);
        EXPECT_FALSE(is_non_blocking(writing));
        writer.close();
        const std::string got = co_await all;
        EXPECT_TRUE(got == text);
    });
}

TEST(descriptors, a_shared_pipe_can_be_cancelled_closed_and_broken) {
    run_test([]() -> Coro<> {
        RealPipe ends;
        StreamReader reader = connect_read_pipe(std::move(ends.reading), {.shared = true});
        const StreamWriter writer = connect_write_pipe(std::move(ends.writing), {.shared = true});
        auto line = create_task(reader.readline());
        co_await sleep(1ms);
        line.cancel();
        const auto outcome = co_await internal::settle(std::move(line));
        EXPECT_TRUE(outcome.cancelled());
        line = create_task(reader.readline());
        co_await writer.send("half");
        co_await sleep(1ms);
        reader.close();
        const std::string rest = co_await line;
        EXPECT_EQ(rest, "") << "closed: what was gathered is dropped";
        const int error = co_await eventual_error_of(writer);
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(descriptors, the_standard_ones_keep_their_mode_and_stay_open) {
    const Fd saved(::fcntl(0, F_DUPFD_CLOEXEC, 3));
    run_test([]() -> Coro<> {
        RealPipe ends;
        EXPECT_EQ(::dup2(ends.reading.get(), 0), 0);
        {
            const StreamReader reader = connect_read_pipe(Fd(0));
            EXPECT_FALSE(is_non_blocking(0));
            EXPECT_EQ(::write(ends.writing.get(), "to stdin\n", 9), 9);
            const std::string line = co_await reader.readline();
            EXPECT_EQ(line, "to stdin\n");
        }
        EXPECT_GE(::fcntl(0, F_GETFD), 0) << "still open";
        // Not by way of connect_read_pipe either.
        {
            const StreamReader reader(get_running_loop(), Fd(0));
        }
        EXPECT_GE(::fcntl(0, F_GETFD), 0);
    });
    ::dup2(saved.get(), 0);
}

TEST(descriptors, PIP_05_a_regular_file_is_read_and_written_directly) {
    run_test([]() -> Coro<> {
        char path[] = "/tmp/asyncio-streams-XXXXXX";
        Fd file(::mkostemp(path, O_CLOEXEC));
        Fd second(::open(path, O_RDONLY | O_CLOEXEC));
        ::unlink(path);
        const StreamWriter writer = connect_write_pipe(std::move(file));
        const std::string text = numbered_text(3'000'000);
        co_await writer.send(text);
        const StreamReader reader = connect_read_pipe(std::move(second));
        const std::string got = co_await reader.read();
        EXPECT_TRUE(got == text);
    });
}

TEST(descriptors, PIP_04_the_hang_up_of_a_terminal_is_the_end) {
    run_test([]() -> Coro<> {
        Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        EXPECT_EQ(::grantpt(master.get()), 0);
        EXPECT_EQ(::unlockpt(master.get()), 0);
        Fd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
        const StreamReader reader = connect_read_pipe(std::move(master));
        auto all = create_task(reader.read());
        EXPECT_EQ(::write(slave.get(), "output", 6), 6);
        co_await sleep(5ms);
        EXPECT_FALSE(all.done());
        slave.reset();
        const std::string got = co_await all;
        EXPECT_EQ(got, "output");
    });
}

TEST(descriptors, EIO_of_what_is_no_terminal_is_an_error) {
    run_test([]() -> Coro<> {
        // Nothing is mapped at address 0.
        const StreamReader reader =
            connect_read_pipe(Fd(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)));
        const int error = co_await error_of(reader.read());
        EXPECT_EQ(error, EIO);
    });
}

TEST(descriptors, one_that_is_not_open_is_refused_by_name) {
    run_test([]() -> Coro<> {
        std::string said;
        try {
            const StreamReader reader = connect_read_pipe(Fd(987));
        } catch (const OsError& error) {
            EXPECT_EQ(error.error(), EBADF);
            said = error.what();
        }
        EXPECT_EQ(said, "connect to descriptor 987: Bad file descriptor");
        EXPECT_THROW((void)connect_write_pipe(Fd(987)), OsError);
        co_return;
    });
}

TEST(descriptors, a_read_from_a_directory_fails_by_name) {
    run_test([]() -> Coro<> {
        const StreamReader reader = connect_read_pipe(
            Fd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), {.name = "the root"});
        std::string said;
        try {
            const std::string got = co_await reader.read(1);
        } catch (const OsError& error) {
            EXPECT_EQ(error.error(), EISDIR);
            said = error.what();
        }
        EXPECT_EQ(said, "read from the root: Is a directory");
    });
}

// --- Closed exactly once ------------------------------------------------------------------------

/// Runs `body` on a loop that watches closings; the process has as many descriptors afterwards.
/// Returns how often something was closed through the back-end.
template <class Body>
int run_watched(Body body, bool to_its_end) {
    const support::LogCapture log;
    const int before = open_descriptors();
    auto owned = std::make_unique<WatchingBackend>(lowlevel::make_backend());
    WatchingBackend& watching = *owned;
    int closes = 0;
    {
        EventLoop loop(std::move(owned), {.debug = false});
        if (to_its_end) {
            loop.run_until_complete(body());
        } else {
            const auto task = loop.create_task(body());
            loop.call_later(5ms, [&] { loop.stop(); });
            loop.run_forever();
        }
        loop.close();
        closes = watching.closes;
    }
    EXPECT_EQ(open_descriptors(), before);
    return closes;
}

/// A reader and a writer, each with an operation in flight.
Coro<> wait_on_both_ends(Duration limit) {
    const Pipe empty = co_await open_pipe();
    const Pipe full = co_await open_pipe();
    full.writer.write(numbered_text(300'000));
    auto reading = create_task(empty.reader.readline());
    co_await sleep(limit);
    reading.cancel();
}

TEST(descriptors, are_closed_once_and_only_when_nothing_is_in_flight) {
    const int closes = run_watched([]() { return wait_on_both_ends(1ms); }, true);
    EXPECT_EQ(closes, 4);
}

TEST(descriptors, are_closed_with_the_loop_if_their_tasks_still_wait) {
    const int closes = run_watched([]() { return wait_on_both_ends(1h); }, false);
    EXPECT_EQ(closes, 4);
}

TEST(descriptors, a_handle_may_outlive_its_loop) {
    const support::LogCapture log;
    const int before = open_descriptors();
    std::optional<Pipe> pipe;
    std::optional<Pipe> busy;
    {
        support::TestLoop loop;
        pipe = loop->run_until_complete(open_pipe());
        busy = loop->run_until_complete(open_pipe());
        busy->writer.write(numbered_text(300'000));
        loop->close();
    }
    EXPECT_TRUE(pipe->reader.is_closing());
    EXPECT_TRUE(busy->writer.is_closing());
    EXPECT_EQ(open_descriptors(), before);
    pipe->writer.write("x");
    pipe->writer.close();
    busy->writer.abort();
    pipe->reader.close();
    pipe.reset();
    busy.reset();
}

TEST(descriptors, pipes_that_come_and_go_leave_none_behind) {
    const int closes = run_watched(
        []() -> Coro<> {
            for (int i = 0; i < 100; ++i) {
                Pipe pipe = co_await open_pipe();
                co_await pipe.writer.send("x");
                const std::string got = co_await pipe.reader.read(1);
                EXPECT_EQ(got, "x");
            }
        },
        true);
    EXPECT_EQ(closes, 200);
}

}  // namespace
