// The TCP proxy: between clients and servers in one process, in the simulation as well as on the
// network, and the program.

#define main tcp_proxy_main
#include "../../examples/tcp_proxy.cpp"
#undef main

#include "examples/running.h"
#include "support/run_test.h"

#include <memory>

namespace {

using examples::Output;
using namespace std::chrono_literals;

/// Answers when the question has ended: it needs the half-close to come through.
Coro<> count_bytes(StreamReader reader, StreamWriter writer) {
    const std::string question = co_await reader.read();
    co_await writer.send(std::to_string(question.size()) + " bytes");
}

Coro<> wait_for_end(Stream stream) { co_await stream.read(); }

/// A server, and a proxy in front of it.
class Proxied {
public:
    template <class Handler>
    Coro<> open(Handler handler, Duration idle_limit = 60s, std::size_t most = 100) {
        server_ = co_await start_server(handler, "127.0.0.1", 0);
        proxy_ = std::make_unique<Proxy>(Target{"127.0.0.1", server_.port(), idle_limit});
        const auto serve = [this](Stream client) { return proxy_->serve(std::move(client)); };
        front_ = co_await start_server(serve, "127.0.0.1", 0, {.max_connections = most});
    }
    Coro<> close() {
        co_await front_.shutdown(10s);
        co_await server_.shutdown(10s);
    }

    Coro<Stream> connect() { return open_connection("127.0.0.1", front_.port()); }
    const Server& server() const { return server_; }
    const Statistics& statistics() const { return proxy_->statistics(); }

private:
    Server server_;
    std::unique_ptr<Proxy> proxy_;
    Server front_;
};

TEST(tcp_proxy, passes_bytes_and_both_ends_on) {
    support::run_test([]() -> Coro<> {
        Proxied proxied;
        co_await proxied.open(count_bytes);
        for (int i = 0; i < 3; ++i) {
            const Stream client = co_await proxied.connect();
            client.write(std::string(300'000, 'x'));
            client.write_eof();
            const std::string answer = co_await client.read();
            EXPECT_EQ(answer, "300000 bytes");
        }
        co_await proxied.close();
        EXPECT_EQ(proxied.statistics().connections, 3);
        EXPECT_EQ(proxied.statistics().bytes_there, 900'000U);
        EXPECT_EQ(proxied.statistics().bytes_back, 36U);
        EXPECT_EQ(proxied.statistics().idle + proxied.statistics().failed, 0);
    });
}

TEST(tcp_proxy, lets_no_more_connections_through_than_it_may) {
    support::run_test([]() -> Coro<> {
        Proxied proxied;
        co_await proxied.open(wait_for_end, 60s, 1);
        const Stream first = co_await proxied.connect();
        while (proxied.server().connections() == 0) co_await sleep(1ms);
        const Stream second = co_await proxied.connect();
        co_await sleep(20ms);
        EXPECT_EQ(proxied.server().connections(), 1U);
        EXPECT_EQ(proxied.statistics().connections, 1);
        first.close();
        while (proxied.statistics().connections == 1) co_await sleep(1ms);
        second.close();
        co_await proxied.close();
    });
}

TEST(tcp_proxy, closes_a_connection_on_which_nothing_moves) {
    support::run_test([]() -> Coro<> {
        Proxied proxied;
        co_await proxied.open(wait_for_end, 30ms);
        const Stream client = co_await proxied.connect();
        const std::string rest = co_await client.read();
        EXPECT_EQ(rest, "");
        co_await proxied.close();
        EXPECT_EQ(proxied.statistics().idle, 1);
    });
}

/// In simulated time, which no busy machine delays.
TEST(tcp_proxy, one_direction_that_moves_keeps_the_other_open) {
    support::run_simulated([]() -> Coro<> {
        const auto tick = [](StreamReader, StreamWriter writer) -> Coro<> {
            for (int i = 0; i < 10; ++i) {
                co_await sleep(40s);
                co_await writer.send("tick");
            }
        };
        Proxied proxied;
        co_await proxied.open(tick);
        const Stream client = co_await proxied.connect();
        const std::string answer = co_await client.read();
        EXPECT_EQ(answer.size(), 40U);
        client.close();
        co_await proxied.close();
        EXPECT_EQ(proxied.statistics().idle, 0);
    });
}

TEST(tcp_proxy, a_server_that_refuses_costs_one_connection) {
    support::run_test([]() -> Coro<> {
        Proxied proxied;
        co_await proxied.open(count_bytes);
        proxied.server().close();
        const Stream client = co_await proxied.connect();
        ::testing::internal::CaptureStderr();
        try {
            co_await client.read();
        } catch (const OsError& error) {
            EXPECT_EQ(error.error(), ECONNRESET);
        }
        const std::string said = ::testing::internal::GetCapturedStderr();
        EXPECT_NE(said.find("Connection refused"), said.npos) << said;
        co_await proxied.close();
        EXPECT_EQ(proxied.statistics().failed, 1);
    });
}

TEST(tcp_proxy, is_a_program_that_says_at_its_end_what_it_has_done) {
    if (examples::on_simulated_backend()) return;
    support::run_test([]() -> Coro<> {
        const Server server = co_await start_server(count_bytes, "127.0.0.1", 0);
        std::vector<std::string> words{"0", "127.0.0.1", std::to_string(server.port()), "2", "30"};
        auto proxy = co_await examples::start_server_example("tcp_proxy", words);
        {
            const Stream client = co_await open_connection("127.0.0.1", std::stoi(proxy.port));
            co_await client.send("question");
            client.write_eof();
            const std::string answer = co_await client.read();
            EXPECT_EQ(answer, "8 bytes");
        }
        const Output end = co_await examples::stop(std::move(proxy.process), SIGTERM);
        EXPECT_EQ(end.text, "1 connections, 0 idle, 0 failed; 8 bytes there, 7 bytes back\n");
        EXPECT_EQ(end.errors, "");
        EXPECT_EQ(end.status, -SIGTERM);
        co_await server.shutdown(10s);
    });
}

TEST(tcp_proxy, says_how_it_is_used) {
    EXPECT_EQ(examples::run_example("tcp_proxy", {"--help"}).status, 0);
    EXPECT_EQ(examples::run_example("tcp_proxy", {"0", "localhost"}).status, 2);
    EXPECT_EQ(examples::run_example("tcp_proxy", {"0", "localhost", "80", "0"}).status, 2);
}

}  // namespace
