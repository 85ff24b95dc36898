#pragma once
// What the tests of connections have in common: servers on the loopback address, and errors as
// numbers.

#include <asyncio.h>
#include <asyncio/lowlevel/perform_now.h>

#include "support/run_test.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace net_test {

using namespace asyncio;
using namespace std::chrono_literals;
using support::run_test;

inline constexpr auto loopback = "127.0.0.1";

/// Sends back what comes, until the end.
inline Coro<> echo(StreamReader reader, StreamWriter writer) {
    for (;;) {
        std::string data = co_await reader.read(65536);
        if (data.empty()) break;
        co_await writer.send(std::move(data));
    }
}

/// A handler that waits until its client has gone.
inline Coro<> wait_for_end(Stream stream) { co_await stream.read(); }

/// The errno with which awaiting ends; 0 if it ends well.
template <class Awaitable>
Coro<int> error_number(Awaitable awaitable) {
    try {
        co_await std::move(awaitable);
        co_return 0;
    } catch (const OsError& error) {
        co_return error.error();
    }
}

/// The message with which awaiting ends; "" if it ends well.
template <class Awaitable>
Coro<std::string> error_text(Awaitable awaitable) {
    try {
        co_await std::move(awaitable);
        co_return "";
    } catch (const std::exception& error) {
        co_return error.what();
    }
}

/// Waits for the end of the task, however it ends.
template <class T>
Coro<> until_done(Task<T> task) {
    while (!task.done()) co_await sleep(1ms);
}

/// Waits until `condition()` holds, for a second at the most.
template <class Condition>
Coro<bool> becomes(Condition condition) {
    for (int round = 0; round < 1000 && !condition(); ++round) co_await sleep(1ms);
    co_return condition();
}

/// Whether the world is simulated. It knows no files of Unix sockets.
inline bool is_simulated() { return std::string_view(EventLoop().backend_name()) == "simulated"; }

/// The value of an option of a socket, which may be one of the simulated world.
inline int option_of(int fd, int level, int option) {
    int value = 0;
    const int result =
        lowlevel::perform_now(get_running_loop(), {.kind = lowlevel::OperationKind::getsockopt,
                                                   .fd = fd,
                                                   .second_fd = option,
                                                   .flags = level,
                                                   .buffer = &value,
                                                   .size = sizeof value});
    EXPECT_EQ(result, 0);
    return value;
}

/// Text whose every part tells where it belongs.
inline std::string numbered(std::size_t bytes) {
    std::string text;
    for (std::size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
    text.resize(bytes);
    return text;
}

}  // namespace net_test
