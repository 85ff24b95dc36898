// Goal: a program reads its standard input line by line, and waits for any descriptor.
// Method: pipes of our own; standard input and output are led to them for the length of a test.

#include <asyncio.h>

#include "support/run_test.h"

#include <cstdio>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::open_stdin;
using asyncio::readable;
using asyncio::sleep;
using asyncio::writable;
using support::run_test;
using namespace std::chrono_literals;

/// A blocking pipe whose ends are plain numbers, as a shell gives them to a program.
struct NumberedPipe {
    NumberedPipe() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
    NumberedPipe(const NumberedPipe&) = delete;
    NumberedPipe& operator=(const NumberedPipe&) = delete;
    ~NumberedPipe() {
        ::close(ends[0]);
        close_writing();
    }
    void write(std::string_view text) const {
        EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    void close_writing() {
        if (ends[1] >= 0) ::close(ends[1]);
        ends[1] = -1;
    }

    int ends[2] = {-1, -1};
};

/// While it lives, `standard` (0 or 1) is `other`.
class Led {
public:
    Led(int standard, int other) : standard_(standard), before_(::dup(standard)) {
        EXPECT_GE(::dup2(other, standard), 0);
    }
    Led(const Led&) = delete;
    Led& operator=(const Led&) = delete;
    ~Led() {
        ::dup2(before_, standard_);
        ::close(before_);
    }

private:
    int standard_;
    int before_;
};

/// The simulated world has pipes of its own, and sees real ones when it has nothing else to do.
TEST(standard_streams, input_is_read_line_by_line) {
    NumberedPipe pipe;
    const Led led(STDIN_FILENO, pipe.ends[0]);
    pipe.write("one\ntwo\nthr");
    run_test([&]() -> Coro<> {
        const auto input = open_stdin();
        EXPECT_EQ(co_await input.readline(), "one\n");
        EXPECT_EQ(co_await input.readline(), "two\n");
        pipe.write("ee\n");
        EXPECT_EQ(co_await input.readline(), "three\n");
        pipe.close_writing();
        EXPECT_EQ(co_await input.readline(), "");
    });
    EXPECT_EQ(::fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0) << "others use it, too";
}

TEST(standard_streams, input_stays_open_when_its_reader_goes) {
    NumberedPipe pipe;
    const Led led(STDIN_FILENO, pipe.ends[0]);
    run_test([&]() -> Coro<> {
        static_cast<void>(open_stdin());
        EXPECT_GE(::fcntl(STDIN_FILENO, F_GETFD), 0);
        co_return;
    });
}

TEST(standard_streams, stay_open_when_the_stream_cannot_be_made) {
    NumberedPipe pipe;
    const Led led(STDIN_FILENO, pipe.ends[0]);
    try {
        static_cast<void>(open_stdin());
        ADD_FAILURE() << "no loop runs";
    } catch (const asyncio::RuntimeError& error) {
        EXPECT_TRUE(support::contains(error.what(), "asyncio::open_stdin()")) << error.what();
    }
    EXPECT_GE(::fcntl(STDIN_FILENO, F_GETFD), 0);
    EXPECT_THROW(asyncio::connect_read_pipe(asyncio::lowlevel::Fd(STDIN_FILENO)),
                 asyncio::RuntimeError);
    EXPECT_GE(::fcntl(STDIN_FILENO, F_GETFD), 0);
    asyncio::EventLoop loop;
    loop.close();
    EXPECT_THROW(asyncio::StreamReader(loop, asyncio::lowlevel::Fd(STDIN_FILENO)),
                 asyncio::RuntimeError);
    EXPECT_GE(::fcntl(STDIN_FILENO, F_GETFD), 0);
}

TEST(standard_streams, output_goes_out) {
    NumberedPipe pipe;
    std::fflush(stdout);
    {
        const Led led(STDOUT_FILENO, pipe.ends[1]);
        run_test([&]() -> Coro<> {
            const auto output = asyncio::open_stdout();
            co_await output.send("text\n");
        });
    }
    char read[6] = "";
    EXPECT_EQ(::read(pipe.ends[0], read, 5), 5);
    EXPECT_STREQ(read, "text\n");
}

TEST(readiness, comes_when_there_is_something_to_read) {
    NumberedPipe pipe;
    run_test([&]() -> Coro<> {
        std::string trace;
        const auto waiting = create_task([&]() -> Coro<> {
            co_await readable(pipe.ends[0]);
            trace += "readable";
        });
        co_await writable(pipe.ends[1]);
        trace += "writable ";
        pipe.write("x");
        co_await waiting;
        EXPECT_EQ(trace, "writable readable");
    });
}

TEST(readiness, comes_with_the_end) {
    NumberedPipe pipe;
    pipe.close_writing();
    run_test([&]() -> Coro<> { co_await readable(pipe.ends[0]); });
}

TEST(readiness, of_a_file_is_always_there) {
    run_test([&]() -> Coro<> {
        const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        co_await readable(file);
        ::close(file);
    });
}

TEST(readiness, is_cancelled_where_it_waits) {
    NumberedPipe pipe;
    run_test([&]() -> Coro<> {
        const auto waiting = create_task(readable(pipe.ends[0]));
        co_await sleep(0ms);
        waiting.cancel();
        co_await asyncio::wait(waiting);
        EXPECT_TRUE(waiting.cancelled());
        pipe.write("x");
        co_await readable(pipe.ends[0]);
    });
}

TEST(readiness, of_what_is_no_descriptor_is_refused) {
    NumberedPipe pipe;
    // A number that nothing takes meanwhile: descriptors get the lowest one that is free.
    const int number = ::fcntl(pipe.ends[0], F_DUPFD_CLOEXEC, 500);
    ::close(number);
    run_test([&]() -> Coro<> {
        std::string text;
        try {
            co_await readable(number);
        } catch (const asyncio::OsError& error) {
            EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
            text = error.what();
        }
        EXPECT_TRUE(support::contains(text, "descriptor " + std::to_string(number))) << text;
    });
}

TEST(readiness, of_a_limit_is_a_limit) {
    NumberedPipe pipe;
    run_test([&]() -> Coro<> {
        bool late = false;
        try {
            co_await asyncio::wait_for(readable(pipe.ends[0]), 1ms);
        } catch (const asyncio::TimeoutError&) {
            late = true;
        }
        EXPECT_TRUE(late);
    });
}

}  // namespace
