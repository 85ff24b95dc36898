// Goal: of the attempts to connect exactly one becomes the connection, and the others leave
// nothing; if none does, the error says why each has failed.
// Method: hosts with several addresses, some of which refuse, or give no answer. A back-end counts
// the sockets.

#include "net/net_help.h"
#include "net/watched_world.h"

#include <cerrno>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace net_test;

/// Runs the test with a server that listens on every IPv4 address of this machine.
template <class Body>
void run_with_server(Body body) {
    run_watched([&](World& world) -> Coro<> {
        Server server = co_await start_server(wait_for_end, "0.0.0.0", 0);
        co_await body(world, server);
        server.close();
        co_await server.wait_closed();
    });
}

/// A port of this machine at which no socket listens.
Coro<int> unused_port() {
    const Server server = co_await start_server(wait_for_end, "0.0.0.0", 0);
    co_return server.port();
}

/// A listener whose queue is full. A connect to it gets no answer.
struct Silent {
    Socket listener;
    std::vector<Socket> waiting;
    int port = 0;
};

Coro<Silent> silent_listener() {
    Silent silent;
    silent.listener = Socket(AF_INET);
    silent.listener.bind(Address::any_v4(0));
    silent.listener.listen(0);
    silent.port = silent.listener.getsockname().port();
    for (bool is_full = false; !is_full;) {
        Socket client(AF_INET);
        const auto connect = [&]() -> Coro<> {
            co_await client.connect(Address::ip(loopback, static_cast<std::uint16_t>(silent.port)));
        };
        is_full = co_await move_on_after(50ms, connect);
        if (!is_full) silent.waiting.push_back(std::move(client));
    }
    co_return silent;
}

// --- One connection -----------------------------------------------------------------------------

TEST(connecting, NET_01_takes_the_second_address_when_the_first_refuses) {
    run_with_server([](World& world, const Server& server) -> Coro<> {
        world.hosts["two.test"] = {"::1", "127.0.0.2"};
        const Stream stream = co_await open_connection("two.test", server.port());
        EXPECT_EQ(stream.peer(), Address::ip("127.0.0.2", server.port()));
        const bool alone = co_await becomes([&] { return world.open_sockets == 3; });
        EXPECT_TRUE(alone) << "the listener, and the two ends of the connection";
        EXPECT_EQ(world.sockets_made, 3);
    });
}

TEST(connecting, NET_01_without_a_delay_waits_for_the_failure_of_the_attempt_before) {
    run_with_server([](World& world, const Server& server) -> Coro<> {
        world.hosts["two.test"] = {"::1", "127.0.0.2"};
        const ConnectOptions options{.happy_eyeballs_delay = std::nullopt};
        const Stream stream = co_await open_connection("two.test", server.port(), options);
        EXPECT_EQ(stream.peer(), Address::ip("127.0.0.2", server.port()));
    });
}

TEST(connecting, NET_43_takes_another_address_while_the_first_is_silent) {
    run_watched([](World& world) -> Coro<> {
        const Silent silent = co_await silent_listener();
        Server server = co_await start_server(wait_for_end, "::1", silent.port);
        world.hosts["two.test"] = {"127.0.0.1", "::1"};
        const ConnectOptions options{.happy_eyeballs_delay = 5ms};
        const Stream stream = co_await open_connection("two.test", silent.port, options);
        EXPECT_TRUE(stream.peer().is_ipv6());
        const int others = 2 + static_cast<int>(silent.waiting.size());
        const bool alone = co_await becomes([&] { return world.open_sockets == others + 2; });
        EXPECT_TRUE(alone) << "the attempt that got no answer is closed";
        stream.close();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(connecting, NET_43_takes_the_families_in_turns) {
    run_watched([](World& world) -> Coro<> {
        const int port = co_await unused_port();
        world.hosts["four.test"] = {"127.0.0.1", "127.0.0.2", "::1", "127.0.0.3"};
        std::vector<std::string> hosts;
        try {
            co_await open_connection("four.test", port);
        } catch (const ConnectError& error) {
            for (const FailedConnect& attempt : error.attempts())
                hosts.push_back(attempt.address.host());
        }
        EXPECT_EQ(hosts, (std::vector<std::string>{"127.0.0.1", "::1", "127.0.0.2", "127.0.0.3"}));
    });
}

TEST(connecting, NET_10_of_two_attempts_that_succeed_at_once_the_other_is_closed) {
    run_with_server([](World& world, const Server& server) -> Coro<> {
        world.hosts["two.test"] = {"127.0.0.1", "127.0.0.2"};
        const ConnectOptions options{.happy_eyeballs_delay = 0ms};
        for (int round = 0; round < 10; ++round) {
            const Stream stream = co_await open_connection("two.test", server.port(), options);
            const bool alone = co_await becomes([&] { return world.open_sockets == 3; });
            EXPECT_TRUE(alone);
            EXPECT_EQ(server.connections(), 1u);
        }
        // On a real loopback the first attempt has succeeded before the second could begin.
        if (get_running_loop().backend_name() == std::string("simulated")) {
            EXPECT_EQ(world.sockets_made, 1 + 10 * 2);
        }
    });
}

// --- No connection ------------------------------------------------------------------------------

TEST(connecting, NET_02_one_reason_for_all_addresses_is_said_once) {
    run_watched([](World& world) -> Coro<> {
        const int port = co_await unused_port();
        world.hosts["two.test"] = {"127.0.0.1", "127.0.0.2"};
        const std::string message = co_await error_text(open_connection("two.test", port));
        const std::string number = std::to_string(port);
        EXPECT_EQ(message, "connect to two.test:" + number + " (127.0.0.1:" + number +
                               ", 127.0.0.2:" + number + "): Connection refused");
    });
}

TEST(connecting, NET_02_NET_03_different_reasons_are_all_said) {
    run_watched([](World& world) -> Coro<> {
        const int port = co_await unused_port();
        world.hosts["two.test"] = {"::1", "127.0.0.2"};
        const ConnectOptions options{.local_addr = Address::loopback_v4(0)};
        std::vector<int> reasons;
        std::string message;
        try {
            co_await open_connection("two.test", port, options);
        } catch (const ConnectError& error) {
            for (const FailedConnect& attempt : error.attempts()) reasons.push_back(attempt.error);
            EXPECT_EQ(error.error(), EAFNOSUPPORT);
            message = error.what();
        }
        EXPECT_EQ(reasons, (std::vector<int>{EAFNOSUPPORT, ECONNREFUSED}));
        EXPECT_NE(message.find(": Connection refused)"), message.npos) << message;
    });
}

TEST(connecting, NET_03_addresses_of_another_family_than_the_local_one_are_skipped) {
    run_with_server([](World& world, const Server& server) -> Coro<> {
        world.hosts["two.test"] = {"::1", "127.0.0.1"};
        const ConnectOptions options{.local_addr = Address::loopback_v4(0)};
        const Stream stream = co_await open_connection("two.test", server.port(), options);
        EXPECT_TRUE(stream.peer().is_ipv4());
    });
}

TEST(connecting, NET_03_a_local_address_in_use_is_the_reason) {
    run_with_server([](World&, const Server& server) -> Coro<> {
        Socket other(AF_INET);
        other.bind(Address::loopback_v4(0));
        const ConnectOptions options{.local_addr = other.getsockname()};
        const int error = co_await error_number(open_connection(loopback, server.port(), options));
        EXPECT_EQ(error, EADDRINUSE);
    });
}

TEST(connecting, NET_08_a_limit_ends_attempts_that_get_no_answer) {
    run_watched([](World& world) -> Coro<> {
        const Silent silent = co_await silent_listener();
        const int before = world.open_sockets;
        world.hosts["two.test"] = {"127.0.0.1", "127.0.0.2"};
        const ConnectOptions options{.happy_eyeballs_delay = 1ms};
        bool timed_out = false;
        try {
            co_await wait_for(open_connection("two.test", silent.port, options), 20ms);
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        EXPECT_TRUE(timed_out);
        EXPECT_EQ(world.open_sockets, before);
        EXPECT_EQ(all_tasks().size(), 1u);
    });
}

// --- Cancelled ----------------------------------------------------------------------------------

TEST(connecting, NET_07_a_cancelled_one_leaves_no_socket_whenever_it_is_cancelled) {
    run_watched([](World& world) -> Coro<> {
        const Silent silent = co_await silent_listener();
        const int before = world.open_sockets;
        world.hosts["two.test"] = {"127.0.0.1", "127.0.0.2"};
        const ConnectOptions options{.happy_eyeballs_delay = 0ms};
        for (int steps = 0; steps < 8; ++steps) {
            Task<Stream> connecting =
                create_task(open_connection("two.test", silent.port, options));
            for (int step = 0; step < steps; ++step) co_await sleep(0ms);
            connecting.cancel();
            co_await until_done(connecting);
            EXPECT_TRUE(connecting.cancelled());
            EXPECT_EQ(world.open_sockets, before);
        }
    });
}

TEST(connecting, NET_07_SCK_05_a_socket_of_the_program_stays_open_and_can_connect_again) {
    run_watched([](World&) -> Coro<> {
        Silent silent = co_await silent_listener();
        const Address address = Address::ip(loopback, static_cast<std::uint16_t>(silent.port));
        Socket socket(AF_INET);
        const auto connect = [&]() -> Coro<> { co_await socket.connect(address); };
        const bool cut_short = co_await move_on_after(5ms, connect);
        EXPECT_TRUE(cut_short);
        EXPECT_GE(socket.fileno(), 0);
        // The kernel asks again after a second; now there is room.
        for (std::size_t i = 0; i < silent.waiting.size(); ++i) co_await silent.listener.accept();
        co_await socket.connect(address);
        EXPECT_EQ(socket.getpeername(), address);
    });
}

}  // namespace
