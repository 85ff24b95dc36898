// The client of an echo server: its functions, in the simulation as well as on the network, and the
// program with the server's.

#define main echo_client_main
#include "../../examples/echo_client.cpp"
#undef main

#include "examples/running.h"
#include "support/run_test.h"

#include <csignal>

namespace {

using examples::Output;
using namespace std::chrono_literals;

Coro<> serve_echo(StreamReader reader, StreamWriter writer) {
    for (;;) {
        std::string data = co_await reader.read(100);
        if (data.empty()) break;
        co_await writer.send(std::move(data));
    }
}

/// Takes so many bytes and closes the connection.
Coro<> close_early(StreamReader reader, StreamWriter writer) {
    co_await writer.send(co_await reader.readexactly(4));
}

TEST(echo_client, prints_what_comes_back_part_by_part) {
    support::run_test([]() -> Coro<> {
        const Server server = co_await start_server(serve_echo, "127.0.0.1", 0);
        const Stream connection = co_await open_connection("127.0.0.1", server.port());
        Pipe input = co_await open_pipe();
        Pipe output = co_await open_pipe();
        Task<> client = create_task(exchange_all(connection, input.reader, output.writer));
        co_await input.writer.send("one\n");
        const std::string first = co_await output.reader.readline();
        EXPECT_EQ(first, "one\n");
        const std::string long_line(20'000, 'x');
        input.writer.write(long_line);
        input.writer.close();
        const std::string rest = co_await output.reader.readexactly(long_line.size());
        EXPECT_EQ(rest, long_line);
        co_await client;
        connection.close();
        co_await server.shutdown(10s);
    });
}

TEST(echo_client, notices_that_the_server_has_closed_the_connection) {
    support::run_test([]() -> Coro<> {
        const Server server = co_await start_server(close_early, "127.0.0.1", 0);
        const Stream connection = co_await open_connection("127.0.0.1", server.port());
        Pipe output = co_await open_pipe();
        std::string partial;
        try {
            co_await exchange(connection, "question", output.writer);
        } catch (const IncompleteReadError& error) {
            partial = error.partial();
        } catch (const OsError& error) {
            EXPECT_EQ(error.error(), ECONNRESET);
            partial = "ques";
        }
        EXPECT_EQ(partial, "ques");
        co_await server.shutdown(10s);
    });
}

TEST(echo_client, talks_to_the_server_and_says_what_goes_wrong) {
    if (examples::on_simulated_backend()) return;
    support::run_test([]() -> Coro<> {
        std::vector<std::string> any_port{"0"};
        auto server = co_await examples::start_server_example("echo_server", any_port);
        const std::string port = server.port;
        std::vector<std::string> arguments{"127.0.0.1", port, "one text"};
        Output run = co_await examples::run_to_end("echo_client", arguments);
        EXPECT_EQ(run.text, "one text\n");
        EXPECT_EQ(run.status, 0) << run.errors;
        arguments.pop_back();
        run = co_await examples::run_to_end("echo_client", arguments, "one\ntwo\nwithout end");
        EXPECT_EQ(run.text, "one\ntwo\nwithout end");
        EXPECT_EQ(run.status, 0) << run.errors;

        Process client = co_await examples::start_example("echo_client", arguments);
        co_await client.stdin.send("before\n");
        const std::string line = co_await client.stdout.readline();
        EXPECT_EQ(line, "before\n");
        co_await examples::stop(std::move(server.process), SIGTERM);
        client.stdin.write("after\n");
        const auto said = co_await client.communicate();
        EXPECT_EQ(said.stderr.find("echo_client: "), 0U) << said.stderr;
        EXPECT_EQ(client.returncode(), 1);

        run = co_await examples::run_to_end("echo_client", arguments);
        EXPECT_NE(run.errors.find("127.0.0.1:" + port), run.errors.npos) << run.errors;
        EXPECT_NE(run.errors.find("Connection refused"), run.errors.npos) << run.errors;
        EXPECT_EQ(run.status, 1);
    });
}

TEST(echo_client, is_ended_by_ctrl_c) {
    if (examples::on_simulated_backend()) return;
    support::run_test([]() -> Coro<> {
        const Server server = co_await start_server(serve_echo, "127.0.0.1", 0);
        std::vector<std::string> arguments{"127.0.0.1", std::to_string(server.port())};
        Process client = co_await examples::start_example("echo_client", arguments);
        co_await client.stdin.send("x\n");
        co_await client.stdout.readline();
        const Output end = co_await examples::stop(std::move(client), SIGINT);
        EXPECT_EQ(end.status, -SIGINT);
        co_await server.shutdown(10s);
    });
}

TEST(echo_client, says_how_it_is_used) {
    EXPECT_EQ(examples::run_example("echo_client", {"--help"}).status, 0);
    EXPECT_EQ(examples::run_example("echo_client", {"localhost"}).status, 2);
    EXPECT_EQ(examples::run_example("echo_client", {"localhost", "echo"}).status, 2);
}

}  // namespace
