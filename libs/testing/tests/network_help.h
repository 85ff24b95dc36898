#pragma once
// A server that echoes and its client, for the tests of the network.

#include <asyncio/connection.h>
#include <asyncio/exceptions.h>
#include <asyncio/server.h>
#include <asyncio/sleep.h>
#include <asyncio/socket.h>
#include <asyncio/testing/network.h>
#include <asyncio/testing/simulate.h>
#include <asyncio/timeout.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace network_test {

using namespace std::chrono_literals;
using namespace asyncio;
using asyncio::testing::AssertionError;
using asyncio::testing::Fault;
using asyncio::testing::Host;
using asyncio::testing::Link;
using asyncio::testing::Network;
using asyncio::testing::simulate;
using asyncio::testing::to_text;

inline constexpr int port = 7000;

/// Sends back what comes.
inline Coro<> echo(Stream stream) {
    for (;;) {
        std::string bytes = co_await stream.read(65536);
        if (bytes.empty()) break;
        co_await stream.send(std::move(bytes));
    }
    co_await stream.aclose();
}

inline Coro<> serve_echo() {
    Server server = co_await start_server(echo, "0.0.0.0", port);
    co_await server.serve_forever();
}

inline Coro<std::string> ask(std::string host, std::string question) {
    Stream stream = co_await open_connection(std::move(host), port);
    const std::size_t size = question.size();
    co_await stream.send(std::move(question));
    std::string answer = co_await stream.readexactly(size);
    co_await stream.aclose();
    co_return answer;
}

/// The errno with which a coroutine fails; 0 if it does not.
template <class T>
Coro<int> error_of(Coro<T> coroutine) {
    try {
        static_cast<void>(co_await std::move(coroutine));
    } catch (const OsError& error) {
        co_return error.code().value();
    }
    co_return 0;
}
inline Duration since(TimePoint beginning) { return get_running_loop().time() - beginning; }

}  // namespace network_test
