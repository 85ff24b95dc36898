// Goal: awaiting an operation gives what the kernel said, loses nothing to a cancellation, and lets
// nobody starve.
// Method: pipes of the back-end, and /dev/zero, which always has something to read.

#include <asyncio/lowlevel/operation_awaiter.h>

#include "streams/stream_help.h"

#include <cerrno>

#include <poll.h>

namespace {

using namespace asyncio;
using namespace std::chrono_literals;
using lowlevel::OperationKind;
using lowlevel::perform;
using support::run_test;
using support::Ticks;

/// A pipe as the back-end makes it.
Coro<std::pair<int, int>> make_pipe() {
    int ends[2];
    const int result =
        co_await perform({.kind = OperationKind::pipe, .buffer = ends, .size = sizeof ends});
    EXPECT_EQ(result, 0);
    co_return std::pair(ends[0], ends[1]);
}

Coro<int> read_into(int fd, std::string& buffer) {
    return [](int from, std::string& to) -> Coro<int> {
        const int result = co_await perform(
            {.kind = OperationKind::read, .fd = from, .buffer = to.data(), .size = to.size()});
        co_return result;
    }(fd, buffer);
}

Coro<int> write_from(int fd, std::string text) {
    const int result = co_await perform(
        {.kind = OperationKind::write, .fd = fd, .buffer = text.data(), .size = text.size()});
    co_return result;
}

Coro<> close_all(std::pair<int, int> ends) {
    for (const int fd : {ends.first, ends.second}) {
        const int result = co_await perform({.kind = OperationKind::close, .fd = fd});
        EXPECT_EQ(result, 0);
    }
}

TEST(operation_awaiter, gives_the_result_of_the_operation) {
    run_test([]() -> Coro<> {
        const auto ends = co_await make_pipe();
        std::string buffer(16, '-');
        auto reading = create_task(read_into(ends.first, buffer));
        co_await sleep(1ms);
        EXPECT_FALSE(reading.done()) << "there is nothing to read";
        const int written = co_await write_from(ends.second, "hello");
        EXPECT_EQ(written, 5);
        const int read = co_await reading;
        EXPECT_EQ(read, static_cast<int>(buffer.find('-')));
        EXPECT_TRUE(std::string("hello").starts_with(buffer.substr(0, buffer.find('-'))));
        co_await close_all(ends);
    });
}

TEST(operation_awaiter, gives_the_failure_of_the_operation_as_a_number) {
    run_test([]() -> Coro<> {
        std::string buffer(16, '-');
        const int result = co_await read_into(999, buffer);
        EXPECT_EQ(result, -EBADF);
    });
}

TEST(operation_awaiter, CPP_13_outside_a_task_is_an_error) {
    const support::LogCapture log;
    support::TestLoop loop;
    bool thrown = false;
    loop->call_soon([&] {
        auto awaiter = perform({.kind = OperationKind::poll, .fd = 0}).operator co_await();
        try {
            awaiter.await_ready();
        } catch (const RuntimeError&) {
            thrown = true;
        }
    });
    loop->call_later(1ms, [&] { loop->stop(); });
    loop->run_forever();
    EXPECT_TRUE(thrown);
}

TEST(operation_awaiter, CAN_21_CPP_02_cancelled_ends_when_the_operation_has_ended) {
    run_test([]() -> Coro<> {
        const auto ends = co_await make_pipe();
        std::string buffer(16, '-');
        auto reading = create_task(read_into(ends.first, buffer));
        co_await sleep(1ms);
        reading.cancel();
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(buffer, std::string(16, '-'));
        co_await close_all(ends);
    });
}

TEST(operation_awaiter, is_cancelled_though_the_request_was_taken_back) {
    // The kernel has given the operation up by then; there is no result to go on with.
    run_test([]() -> Coro<> {
        const auto ends = co_await make_pipe();
        std::string buffer(16, '-');
        auto reading = create_task(read_into(ends.first, buffer));
        co_await sleep(1ms);
        reading.cancel();
        reading.uncancel();
        const auto outcome = co_await internal::settle(std::move(reading));
        EXPECT_TRUE(outcome.cancelled());
        co_await close_all(ends);
    });
}

TEST(operation_awaiter, CAN_13_CPP_03_an_effect_that_crosses_a_cancellation_is_returned) {
    // Data and the request come in one iteration. Either the read was given up, and the data is
    // still in the pipe; or it took place, and the request meets the next await.
    run_test([]() -> Coro<> {
        const auto ends = co_await make_pipe();
        std::string buffer(16, '-');
        int result = 0;
        bool met_next_await = false;
        auto task = create_task([](int fd, std::string& into, int& got, bool& met) -> Coro<> {
            got = co_await read_into(fd, into);
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                met = true;
                throw;
            }
        }(ends.first, buffer, result, met_next_await));
        co_await sleep(1ms);
        const int written = co_await write_from(ends.second, "x");
        EXPECT_EQ(written, 1);
        task.cancel();
        const auto outcome = co_await internal::settle(std::move(task));
        EXPECT_TRUE(outcome.cancelled());
        if (result == 0) {
            EXPECT_FALSE(met_next_await);
            result = co_await read_into(ends.first, buffer);
        } else {
            EXPECT_TRUE(met_next_await);
        }
        EXPECT_EQ(result, 1) << "the byte is lost";
        EXPECT_EQ(buffer[0], 'x');
        co_await close_all(ends);
    });
}

TEST(operation_awaiter, that_finishes_at_once_does_not_suspend) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        std::string buffer(16, '-');
        const Ticks ticks;
        const int result = co_await read_into(zero.get(), buffer);
        EXPECT_EQ(result, 16);
        EXPECT_EQ(ticks.count(), 0);
    });
}

TEST(operation_awaiter, that_always_finishes_at_once_lets_others_run) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        std::string buffer(16, '-');
        constexpr int reads = 1000;
        const Ticks ticks;
        for (int i = 0; i < reads; ++i) {
            const int result = co_await read_into(zero.get(), buffer);
            EXPECT_EQ(result, 16);
        }
        EXPECT_EQ(ticks.count(),
                  reads / static_cast<int>(lowlevel::immediate_finishes_before_yield));
    });
}

TEST(operation_awaiter, a_cancellation_during_the_yield_keeps_the_result) {
    run_test([]() -> Coro<> {
        const lowlevel::Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        int reads = 0;
        auto task = create_task([](int fd, int& count) -> Coro<> {
            std::string buffer(16, '-');
            for (;;) {
                const int result = co_await read_into(fd, buffer);
                if (result == 16) ++count;
                if (current_task().cancelling() > 0) break;
            }
            co_await sleep(1h);
        }(zero.get(), reads));
        co_await sleep(Duration::zero());
        EXPECT_EQ(reads, 31) << "the last one of the turn is not returned yet";
        task.cancel();
        const auto outcome = co_await internal::settle(std::move(task));
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(reads, 32);
    });
}

TEST(operation_awaiter, poll_tells_what_is_ready) {
    run_test([]() -> Coro<> {
        const auto ends = co_await make_pipe();
        const int writable =
            co_await perform({.kind = OperationKind::poll, .fd = ends.second, .events = POLLOUT});
        EXPECT_EQ(writable & POLLOUT, POLLOUT);
        co_await close_all(ends);
    });
}

}  // namespace
