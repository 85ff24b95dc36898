// The echo server: its handler, in the simulation as well as on the network, and the program.

#define main echo_server_main
#include "../../examples/echo_server.cpp"
#undef main

#include "examples/running.h"
#include "support/run_test.h"

namespace {

using examples::Output;
using namespace std::chrono_literals;

TEST(echo_server, gives_each_client_its_own_bytes_back) {
    support::run_test([]() -> Coro<> {
        const Server server = co_await start_server(echo, "127.0.0.1", 0);
        std::vector<Stream> clients;
        for (int i = 0; i < 20; ++i) {
            clients.push_back(co_await open_connection("127.0.0.1", server.port()));
            clients.back().write("client " + std::to_string(i));
            clients.back().write_eof();
        }
        for (int i = 0; i < 20; ++i) {
            const std::string answer = co_await clients[static_cast<std::size_t>(i)].read();
            EXPECT_EQ(answer, "client " + std::to_string(i));
        }
        co_await server.shutdown(10s);
    });
}

TEST(echo_server, ends_with_its_clients_when_it_is_asked_to) {
    if (examples::on_simulated_backend()) return;
    for (const int signal : {SIGTERM, SIGINT}) {
        support::run_test([signal]() -> Coro<> {
            std::vector<std::string> any_port{"0"};
            auto server = co_await examples::start_server_example("echo_server", any_port);
            const Stream client = co_await open_connection("127.0.0.1", std::stoi(server.port));
            co_await client.send("hello");
            const std::string answer = co_await client.readexactly(5);
            EXPECT_EQ(answer, "hello");
            const Output end = co_await examples::stop(std::move(server.process), signal);
            EXPECT_EQ(end.status, -signal);
            EXPECT_EQ(end.errors, "");
            const std::string rest = co_await client.read();
            EXPECT_EQ(rest, "");
        });
    }
}

TEST(echo_server, says_how_it_is_used_and_what_is_wrong) {
    EXPECT_EQ(examples::run_example("echo_server", {"--help"}).status, 0);
    EXPECT_EQ(examples::run_example("echo_server", {"port"}).status, 2);
    EXPECT_EQ(examples::run_example("echo_server").lines.at(0), "usage: echo_server PORT");
    const auto refused = examples::run_example("echo_server", {"66666"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_TRUE(refused.errors.starts_with("echo_server: ")) << refused.errors;
}

}  // namespace
