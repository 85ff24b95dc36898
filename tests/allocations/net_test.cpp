// Servers and connections, with every allocation failing once. How it is done is told in sweep.cpp.

#include <asyncio/connection.h>
#include <asyncio/server.h>
#include <asyncio/sleep.h>

#include "parts.h"
#include "sweep.h"

#include <string>
#include <utility>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

Coro<> echo(StreamReader reader, StreamWriter writer) {
    co_await writer.send(co_await reader.readline());
}

/// A question and its answer. A connection that the server has lost gives an empty answer.
Coro<std::string> ask(int port) {
    const Stream stream = co_await open_connection("127.0.0.1", port);
    co_await stream.send(std::string(long_text) + "\n");
    co_return co_await stream.readline();
}

/// The same, with an empty answer also for a connection that the server has reset.
Coro<std::string> answer_to(int port) {
    const Outcome<std::string> outcome = co_await internal::settle(ask(port));
    try {
        co_return outcome.value();
    } catch (const OsError&) {
        co_return "";
    }
}

}  // namespace

SCENARIO_EVERYWHERE(connection_to_a_server) {
    Server server = co_await start_server(echo, "127.0.0.1", 0);
    const std::string answer = co_await answer_to(server.port());
    if (answer.empty()) throw std::bad_alloc();
    require(answer == std::string(long_text) + "\n", "answer");
    server.close();
    co_await server.wait_closed();
}

SCENARIO(a_server_survives_a_connection_for_which_there_was_no_memory) {
    Server server = co_await start_server(echo, "127.0.0.1", 0);
    bool failed = false;
    for (int round = 0; round < 4; ++round) {
        std::string answer;
        try {
            answer = co_await answer_to(server.port());
        } catch (const std::bad_alloc&) {
        }
        failed = failed || answer.empty();
    }
    // No more than three allocations in a row have failed, or all; the latter makes this throw.
    std::string last;
    for (int round = 0; round < 4 && last.empty(); ++round)
        last = co_await answer_to(server.port());
    require(last == std::string(long_text) + "\n", "answer");
    server.close();
    co_await server.wait_closed();
    if (failed) throw std::bad_alloc();
}

SCENARIO(a_server_that_could_not_start_all_its_tasks_can_be_ended) {
    std::vector<std::string> hosts{"127.0.0.1", "::1"};
    Server server =
        co_await start_server(echo, std::move(hosts), 0, ServerOptions{.start_serving = false});
    bool failed = false;
    try {
        server.start_serving();
    } catch (const std::bad_alloc&) {
        failed = true;
    }
    require(co_await server.shutdown(1s), "nothing is waited for");
    if (failed) throw std::bad_alloc();
}
