// Goal: a server serves, limits itself, and ends in each of its ways, with nothing left.
// Method: clients of this library in the same loop, on every back-end.

#include "net/net_help.h"

#include <cerrno>
#include <stdexcept>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace net_test;

Coro<> end(const Server& server) {
    server.close();
    co_await server.wait_closed();
}

TEST(server, serves_many_clients_at_once) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        std::vector<Stream> clients;
        for (int i = 0; i < 50; ++i) {
            clients.push_back(co_await open_connection(loopback, server.port()));
            clients.back().write("client " + std::to_string(i) + "\n");
        }
        for (int i = 0; i < 50; ++i) {
            const std::string line = co_await clients[static_cast<std::size_t>(i)].readline();
            EXPECT_EQ(line, "client " + std::to_string(i) + "\n");
        }
        EXPECT_EQ(server.connections(), 50u);
        clients.clear();
        co_await end(server);
        EXPECT_EQ(server.connections(), 0u);
    });
}

TEST(server, takes_a_plain_function_which_may_keep_the_stream) {
    run_test([]() -> Coro<> {
        std::vector<Stream> kept;
        const auto keep = [&kept](Stream stream) { kept.push_back(std::move(stream)); };
        Server server = co_await start_server(keep, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        const bool accepted = co_await becomes([&] { return !kept.empty(); });
        EXPECT_TRUE(accepted);
        kept.front().write("still here\n");
        const std::string line = co_await client.readline();
        EXPECT_EQ(line, "still here\n");
        EXPECT_EQ(server.connections(), 1u);
        kept.clear();
        co_await end(server);
    });
}

TEST(server, NET_41_sends_what_a_handler_has_written_before_it_returned) {
    run_test([]() -> Coro<> {
        const std::string much = numbered(3'000'000);
        const auto handler = [&much](StreamReader, StreamWriter writer) -> Coro<> {
            writer.write(much);
            co_return;
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        const std::string got = co_await client.read();
        EXPECT_TRUE(got == much) << got.size();
        co_await end(server);
    });
}

TEST(server, WRT_10_an_error_of_a_handler_is_reported_once_and_closes_the_connection) {
    run_test([]() -> Coro<> {
        std::vector<std::string> reports;
        get_running_loop().set_exception_handler([&](EventLoop&, const ErrorContext& context) {
            reports.emplace_back(context.message);
        });
        Server server = co_await start_server(
            [](Stream) -> Coro<> {
                co_await sleep(0ms);
                throw std::runtime_error("broken");
            },
            loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "");
        co_await end(server);
        EXPECT_EQ(reports, std::vector<std::string>{"the handler of a connection has failed"});
    });
}

TEST(server, WRT_10_a_cancelled_handler_closes_the_connection_and_is_not_reported) {
    run_test([]() -> Coro<> {
        int reports = 0;
        get_running_loop().set_exception_handler(
            [&](EventLoop&, const ErrorContext&) { ++reports; });
        Server server = co_await start_server(
            [](Stream) -> Coro<> {
                current_task().cancel();
                co_await sleep(1h);
            },
            loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "");
        co_await end(server);
        EXPECT_EQ(reports, 0);
    });
}

TEST(server, a_handler_that_throws_before_it_is_a_coroutine_is_reported) {
    run_test([]() -> Coro<> {
        int reports = 0;
        get_running_loop().set_exception_handler(
            [&](EventLoop&, const ErrorContext&) { ++reports; });
        Server server = co_await start_server(
            [](Stream) -> Coro<> { throw std::runtime_error("broken"); }, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "");
        co_await end(server);
        EXPECT_EQ(reports, 1);
    });
}

TEST(server, NET_15_accepts_when_it_is_told_to) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0, {.start_serving = false});
        EXPECT_FALSE(server.is_serving());
        Stream client = co_await open_connection(loopback, server.port());
        client.write("x");
        Task<std::string> reading = create_task(client.readexactly(1));
        co_await sleep(1ms);
        EXPECT_FALSE(reading.done());
        server.start_serving();
        server.start_serving();
        EXPECT_TRUE(server.is_serving());
        const std::string got = co_await reading;
        EXPECT_EQ(got, "x");
        client.close();
        co_await end(server);
        EXPECT_THROW(server.start_serving(), RuntimeError);
    });
}

TEST(server, NET_17_wait_closed_waits_for_the_close_and_for_the_last_connection) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        Task<> waiting = create_task(server.wait_closed());
        co_await becomes([&] { return server.connections() == 1; });
        EXPECT_FALSE(waiting.done());
        server.close();
        EXPECT_TRUE(server.addresses().empty());
        co_await sleep(1ms);
        EXPECT_FALSE(waiting.done());
        client.close();
        co_await waiting;
    });
}

TEST(server, NET_18_a_client_that_goes_in_the_step_of_the_close_is_waited_for) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        client.abort();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(server, a_closed_server_refuses_connections_and_keeps_those_that_it_has) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        const int port = server.port();
        Stream client = co_await open_connection(loopback, port);
        co_await becomes([&] { return server.connections() == 1; });
        server.close();
        server.close();
        EXPECT_FALSE(server.is_serving());
        // A connection that the kernel has taken in the moment of the close is reset.
        const int error = co_await error_number(open_connection(loopback, port));
        EXPECT_TRUE(error == ECONNREFUSED || error == ECONNRESET) << error;
        co_await client.send("x");
        const std::string got = co_await client.readexactly(1);
        EXPECT_EQ(got, "x");
        client.close();
        co_await server.wait_closed();
    });
}

TEST(server, NET_19_close_clients_lets_idle_handlers_see_the_end) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        server.close();
        server.close_clients();
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "");
        co_await server.wait_closed();
    });
}

TEST(server, NET_20_abort_clients_does_not_wait_for_a_peer_that_does_not_read) {
    run_test([]() -> Coro<> {
        const std::string much(20'000'000, 'x');
        const auto handler = [&much](Stream stream) -> Coro<> {
            co_await error_number(stream.send(much));
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await client.readexactly(1);
        server.close();
        server.abort_clients();
        co_await server.wait_closed();
    });
}

TEST(server, NET_19_serve_forever_ends_with_idle_clients_when_it_is_cancelled) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(wait_for_end, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        Task<> serving = create_task(server.serve_forever());
        co_await sleep(1ms);
        serving.cancel();
        co_await until_done(serving);
        EXPECT_TRUE(serving.cancelled());
        EXPECT_EQ(server.connections(), 0u);
        EXPECT_FALSE(server.is_serving());
    });
}

TEST(server, serve_forever_is_awaited_once) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        Task<> serving = create_task(server.serve_forever());
        co_await sleep(1ms);
        const std::string message = co_await error_text(server.serve_forever());
        EXPECT_EQ(message, "serve_forever() was called twice");
        server.close();
        co_await serving;
    });
}

TEST(server, shutdown_waits_for_handlers_that_end_by_themselves) {
    run_test([]() -> Coro<> {
        bool finished = false;
        const auto handler = [&finished](Stream stream) -> Coro<> {
            co_await sleep(20ms);
            co_await stream.send("done");
            finished = true;
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        const bool in_time = co_await server.shutdown(10s);
        EXPECT_TRUE(in_time);
        EXPECT_TRUE(finished);
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "done");
    });
}

TEST(server, NET_19_shutdown_cancels_a_handler_that_does_not_end) {
    run_test([]() -> Coro<> {
        bool cancelled = false;
        const auto handler = [&cancelled](Stream) -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
                throw;
            }
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        const bool in_time = co_await server.shutdown(20ms);
        EXPECT_FALSE(in_time);
        EXPECT_TRUE(cancelled);
        EXPECT_EQ(server.connections(), 0u);
    });
}

// --- A handler that puts another stream over the channel ----------------------------------------

/// The channel of `stream` under a new stream, as a change of protocol in the middle does it.
Stream put_anew(Stream stream) {
    DetachedStream detached = std::move(stream).detach();
    return Stream(get_running_loop(), std::move(detached.channel));
}

TEST(server, NET_46_what_a_handler_has_written_to_another_stream_over_the_channel_is_sent) {
    run_test([]() -> Coro<> {
        const std::string much = numbered(16'000'000);
        const auto handler = [&much](Stream stream) -> Coro<> {
            Stream other = put_anew(std::move(stream));
            other.write(much);
            co_return;
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        EXPECT_EQ(server.connections(), 1u) << "until everything is sent";
        const std::string got = co_await client.read();
        EXPECT_TRUE(got == much) << got.size();
        client.close();
        co_await end(server);
    });
}

TEST(server, NET_46_close_clients_ends_the_reads_of_another_stream_over_the_channel) {
    run_test([]() -> Coro<> {
        bool saw_end = false;
        const auto handler = [&saw_end](Stream stream) -> Coro<> {
            Stream other = put_anew(std::move(stream));
            const std::string rest = co_await other.read();
            saw_end = rest.empty();
            co_await other.send("bye");
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return server.connections() == 1; });
        server.close();
        server.close_clients();
        co_await server.wait_closed();
        EXPECT_TRUE(saw_end);
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "bye");
    });
}

TEST(server, NET_46_abort_clients_ends_another_stream_over_the_channel) {
    run_test([]() -> Coro<> {
        int error = 0;
        const auto handler = [&error](Stream stream) -> Coro<> {
            Stream other = put_anew(std::move(stream));
            error = co_await error_number(other.send(std::string(30'000'000, 'x')));
        };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        const std::string some = co_await client.read(1);
        EXPECT_EQ(some, "x");
        server.close();
        server.abort_clients();
        co_await server.wait_closed();
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(server, NET_46_another_stream_that_the_program_keeps_is_counted_and_ended) {
    run_test([]() -> Coro<> {
        Stream kept;
        const auto handler = [&kept](Stream stream) { kept = put_anew(std::move(stream)); };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return static_cast<bool>(kept); });
        co_await sleep(5ms);
        EXPECT_EQ(server.connections(), 1u);
        const bool in_time = co_await server.shutdown(20ms);
        EXPECT_FALSE(in_time) << "the program keeps it";
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "");
        const int error = co_await error_number(kept.send("x"));
        EXPECT_EQ(error, EPIPE);
    });
}

TEST(server, NET_46_a_channel_that_the_program_drops_is_the_end_of_its_connection) {
    run_test([]() -> Coro<> {
        DetachedStream kept;
        const auto handler = [&kept](Stream stream) { kept = std::move(stream).detach(); };
        Server server = co_await start_server(handler, loopback, 0);
        Stream client = co_await open_connection(loopback, server.port());
        co_await becomes([&] { return kept.channel != nullptr; });
        EXPECT_EQ(server.connections(), 1u);
        kept = {};
        co_await end(server);
        EXPECT_EQ(server.connections(), 0u);
    });
}

TEST(server, NET_42_a_server_that_is_destroyed_leaves_no_task_and_no_connection) {
    run_test([]() -> Coro<> {
        Stream client;
        {
            Server server = co_await start_server(wait_for_end, loopback, 0);
            client = co_await open_connection(loopback, server.port());
            co_await becomes([&] { return server.connections() == 1; });
        }
        const std::string got = co_await client.read();
        EXPECT_EQ(got, "");
        const bool alone = co_await becomes([] { return all_tasks().size() == 1; });
        EXPECT_TRUE(alone);
    });
}

TEST(server, a_server_that_is_destroyed_at_once_leaves_nothing) {
    run_test([]() -> Coro<> {
        static_cast<void>(co_await start_server(wait_for_end, loopback, 0));
        const bool alone = co_await becomes([] { return all_tasks().size() == 1; });
        EXPECT_TRUE(alone);
    });
}

TEST(server, NET_45_has_no_more_connections_than_it_may_have) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0, {.max_connections = 2});
        std::vector<Stream> clients;
        for (int i = 0; i < 3; ++i) {
            clients.push_back(co_await open_connection(loopback, server.port()));
            clients.back().write("x");
        }
        co_await clients[0].readexactly(1);
        co_await clients[1].readexactly(1);
        Task<std::string> third = create_task(clients[2].readexactly(1));
        co_await sleep(5ms);
        EXPECT_EQ(server.connections(), 2u);
        EXPECT_FALSE(third.done());
        clients[0].close();
        const std::string got = co_await third;
        EXPECT_EQ(got, "x");
        clients.clear();
        co_await end(server);
    });
}

TEST(server, NET_13_an_address_in_use_is_named_and_nothing_listens) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        const std::string address = server.addresses().front().to_string();
        const std::string message =
            co_await error_text(start_server(echo, loopback, server.port()));
        EXPECT_EQ(message, "bind to " + address + ": Address already in use");
        co_await end(server);
    });
}

/// The options of both ends of a connection: TCP_NODELAY of the client, TCP_NODELAY and
/// SO_KEEPALIVE of the server.
Coro<std::vector<bool>> options_of_ends(ConnectOptions of_client, ServerOptions of_server) {
    std::vector<bool> found;
    bool is_done = false;
    const auto look = [&](Stream stream) {
        found.push_back(option_of(stream.fd(), IPPROTO_TCP, TCP_NODELAY) != 0);
        found.push_back(option_of(stream.fd(), SOL_SOCKET, SO_KEEPALIVE) != 0);
        is_done = true;
    };
    Server server = co_await start_server(look, loopback, 0, of_server);
    const Stream client = co_await open_connection(loopback, server.port(), of_client);
    found.insert(found.begin(), option_of(client.fd(), IPPROTO_TCP, TCP_NODELAY) != 0);
    co_await becomes([&] { return is_done; });
    co_await end(server);
    co_return found;
}

TEST(server, NET_47_small_writes_are_sent_at_once_and_idle_connections_probed_as_the_options_say) {
    run_test([]() -> Coro<> {
        std::vector<bool> found = co_await options_of_ends({}, {});
        EXPECT_EQ(found, (std::vector<bool>{true, true, false}));
        found =
            co_await options_of_ends({.no_delay = false}, {.keep_alive = true, .no_delay = false});
        EXPECT_EQ(found, (std::vector<bool>{false, false, true}));
    });
}

/// A port that no socket of either family uses.
Coro<int> free_port() {
    Server server = co_await start_server(echo, loopback, 0);
    const int port = server.port();
    co_await end(server);
    co_return port;
}

Coro<> expect_echo_at(std::string host, int port) {
    const Stream client = co_await open_connection(std::move(host), port);
    co_await client.send("x");
    const std::string got = co_await client.readexactly(1);
    EXPECT_EQ(got, "x");
}

/// An IPv6 socket that took connections of IPv4 as well could not share the port.
TEST(server, NET_12_every_interface_of_both_families_has_the_same_port) {
    run_test([]() -> Coro<> {
        for (const bool by_empty_host : {false, true}) {
            std::vector<std::string> hosts{"0.0.0.0", "::"};
            if (by_empty_host) hosts.assign(1, "");
            const int port = co_await free_port();
            Server server = co_await start_server(echo, std::move(hosts), port);
            EXPECT_EQ(server.addresses().size(), 2u);
            for (const Address& address : server.addresses()) EXPECT_EQ(address.port(), port);
            co_await expect_echo_at("127.0.0.1", port);
            co_await expect_echo_at("::1", port);
            co_await end(server);
        }
    });
}

TEST(server, NET_12_listens_on_both_families_with_the_same_port) {
    run_test([]() -> Coro<> {
        std::vector<std::string> hosts{"127.0.0.1", "::1"};
        Server first = co_await start_server(echo, "127.0.0.1", 0);
        const int port = first.port();
        Server second = co_await start_server(echo, "::1", port);
        EXPECT_EQ(second.port(), port);
        Stream client = co_await open_connection("::1", port);
        co_await client.send("x");
        const std::string got = co_await client.readexactly(1);
        EXPECT_EQ(got, "x");
        client.close();
        co_await end(first);
        co_await end(second);
        Server both = co_await start_server(echo, hosts, 0);
        EXPECT_EQ(both.addresses().size(), 2u);
        EXPECT_EQ(both.fds().size(), 2u);
        co_await end(both);
    });
}

TEST(server, an_empty_handle_throws) {
    run_test([]() -> Coro<> {
        const Server none;
        EXPECT_FALSE(none);
        EXPECT_THROW(none.close(), RuntimeError);
        co_return;
    });
}

TEST(server, a_cancelled_wait_changes_nothing) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        const bool cut_short =
            co_await move_on_after(5ms, [&]() -> Coro<> { co_await server.wait_closed(); });
        EXPECT_TRUE(cut_short);
        EXPECT_TRUE(server.is_serving());
        co_await end(server);
    });
}

}  // namespace
