// Goal: a server accepts every connection that it can, goes on when an accept fails, and loses no
// connection that arrives in a moment in which it ends.
// Method: a back-end that counts the sockets and lets accepts fail; and a process that has no
// descriptors left.

#include "net/net_help.h"
#include "net/watched_world.h"

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace net_test;

/// The handlers of the tests in which the server must end them.
Coro<> serve_for_ever(Stream) { co_await sleep(1h); }

std::vector<std::string>& collect_reports() {
    static std::vector<std::string> reports;
    reports.clear();
    get_running_loop().set_exception_handler([](EventLoop&, const ErrorContext& context) {
        std::string report(context.message);
        try {
            if (context.exception) std::rethrow_exception(context.exception);
        } catch (const std::exception& error) {
            report += std::string(": ") + error.what();
        }
        reports.push_back(std::move(report));
    });
    return reports;
}

Coro<> expect_echo(const Stream& stream, std::string text) {
    co_await stream.send(text);
    const std::string answer = co_await stream.readexactly(text.size());
    EXPECT_EQ(answer, text);
}

/// Lets the close of the socket be a reset.
void reset_when_closed(const Socket& socket) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    socket.setsockopt(SOL_SOCKET, SO_LINGER, {reinterpret_cast<const char*>(&reset), sizeof reset});
}

Coro<> end(const Server& server) {
    server.close();
    co_await server.wait_closed();
}

TEST(accepting, a_server_can_end_whose_accepting_task_was_cancelled_before_its_first_step) {
    run_test([]() -> Coro<> {
        const Server server =
            co_await start_server(serve_for_ever, "127.0.0.1", 0, {.start_serving = false});
        const TaskRef self = current_task();
        server.start_serving();
        for (const TaskRef& task : all_tasks()) {
            if (task != self) task.cancel();
        }
        const auto end_it = [&]() -> Coro<> { co_await end(server); };
        const bool hangs = co_await move_on_after(10s, end_it);
        EXPECT_FALSE(hangs);
    });
}

// --- A server that ends while connections arrive ------------------------------------------------

/// Connects a client, and returns so many steps after the server has accepted it. After no step,
/// the task of the connection has not begun.
Coro<Task<Stream>> accepted_client(const Server& server, int steps) {
    Task<Stream> connecting = create_task(open_connection(loopback, server.port()));
    while (server.connections() == 0) co_await sleep(0ms);
    for (int step = 0; step < steps; ++step) co_await sleep(0ms);
    co_return connecting;
}

TEST(accepting, NET_24_a_connection_that_arrives_while_the_server_shuts_down_is_ended_with_it) {
    for (int steps = 0; steps < 4; ++steps) {
        run_watched([steps](World& world) -> Coro<> {
            Server server = co_await start_server(serve_for_ever, loopback, 0);
            Task<Stream> client = co_await accepted_client(server, steps);
            const auto end_server = [&]() -> Coro<> { co_await server.shutdown(0s); };
            co_await timeout(10s, end_server);
            EXPECT_EQ(server.connections(), 0u);
            co_await error_number(std::move(client));
            EXPECT_EQ(world.open_sockets, 0) << "after " << steps << " steps";
        });
    }
}

TEST(accepting, NET_24_a_connection_that_arrives_while_the_server_is_destroyed_is_ended_with_it) {
    for (int steps = 0; steps < 4; ++steps) {
        run_watched([steps](World& world) -> Coro<> {
            std::optional<Server> server = co_await start_server(serve_for_ever, loopback, 0);
            Task<Stream> client = co_await accepted_client(*server, steps);
            server.reset();
            const bool alone =
                co_await becomes([&] { return all_tasks().size() == (client.done() ? 1u : 2u); });
            EXPECT_TRUE(alone) << "after " << steps << " steps";
            co_await error_number(std::move(client));
            EXPECT_EQ(world.open_sockets, 0) << "after " << steps << " steps";
        });
    }
}

TEST(accepting, NET_24_a_connection_that_arrives_while_the_clients_are_ended_is_ended_with_them) {
    for (const bool aborts : {true, false}) {
        for (int steps = 0; steps < 4; ++steps) {
            run_watched([=](World&) -> Coro<> {
                Server server = co_await start_server(wait_for_end, loopback, 0);
                Task<Stream> client = co_await accepted_client(server, steps);
                server.close();
                aborts ? server.abort_clients() : server.close_clients();
                const auto wait = [&]() -> Coro<> { co_await server.wait_closed(); };
                const bool cut_short = co_await move_on_after(10s, wait);
                EXPECT_FALSE(cut_short) << "after " << steps << " steps";
                co_await error_number(std::move(client));
            });
        }
    }
}

// --- Accepts that fail --------------------------------------------------------------------------

TEST(accepting, NET_22_a_client_that_has_gone_delays_no_other) {
    run_watched([](World&) -> Coro<> {
        const auto& reports = collect_reports();
        const auto tolerant = [](Stream stream) -> Coro<> {
            co_await error_number(echo(std::move(stream.reader), std::move(stream.writer)));
        };
        Server server = co_await start_server(tolerant, loopback, 0, {.start_serving = false});
        for (int i = 0; i < 3; ++i) {
            Socket gone(AF_INET);
            co_await gone.connect(Address::ip(loopback, server.port()));
            reset_when_closed(gone);
        }
        const Stream client = co_await open_connection(loopback, server.port());
        const TimePoint start = get_running_loop().time();
        server.start_serving();
        co_await expect_echo(client, "hello");
        EXPECT_LT(get_running_loop().time() - start, 500ms);
        EXPECT_TRUE(reports.empty());
        client.close();
        co_await end(server);
    });
}

TEST(accepting, NET_21_without_descriptors_the_server_says_so_once_and_tries_again_after_a_second) {
    run_watched(
        [](World& world) -> Coro<> {
            const auto& reports = collect_reports();
            world.accept_errors = {EMFILE, ENFILE};
            Server server = co_await start_server(echo, loopback, 0);
            const TimePoint start = get_running_loop().time();
            const Stream client = co_await open_connection(loopback, server.port());
            co_await expect_echo(client, "hello");
            const Duration took = get_running_loop().time() - start;
            EXPECT_TRUE(took >= 2s && took < 3s) << took.count();
            EXPECT_EQ(reports,
                      (std::vector<std::string>{
                          "a server cannot accept connections for the moment, and will try again: "
                          "accept on 127.0.0.1:" +
                          std::to_string(server.port()) + ": Too many open files"}));
            client.close();
            co_await end(server);
        },
        lowlevel::make_simulated_backend({}));
}

TEST(accepting, NET_21_a_connection_that_ends_makes_room_for_the_next_at_once) {
    run_watched([](World& world) -> Coro<> {
        collect_reports();
        Server server = co_await start_server(echo, loopback, 0);
        const Stream first = co_await open_connection(loopback, server.port());
        co_await expect_echo(first, "first");
        world.accept_errors = {EMFILE};
        const Stream second = co_await open_connection(loopback, server.port());
        const Stream third = co_await open_connection(loopback, server.port());
        co_await expect_echo(second, "the accept of this one was in flight");
        co_await sleep(10ms);
        EXPECT_EQ(server.connections(), 2u);
        const TimePoint start = get_running_loop().time();
        first.close();
        co_await expect_echo(third, "third");
        EXPECT_LT(get_running_loop().time() - start, 500ms);
        second.close();
        third.close();
        co_await end(server);
    });
}

/// Descriptors of the simulated world have no limit, so this runs on a back-end of the kernel.
std::unique_ptr<lowlevel::Backend> kernel_backend() {
    auto backend = lowlevel::make_backend();
    if (backend->name() != std::string("simulated")) return backend;
    return lowlevel::make_backend(lowlevel::BackendKind::epoll);
}

/// While it lives, the process can open no more descriptors.
class NoMoreDescriptors {
public:
    NoMoreDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const int lowest_free = ::dup(STDERR_FILENO);
        ::close(lowest_free);
        const rlimit none{static_cast<rlim_t>(lowest_free), before_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    NoMoreDescriptors(const NoMoreDescriptors&) = delete;
    NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;
    ~NoMoreDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

private:
    rlimit before_{};
};

TEST(accepting, NET_21_a_process_without_descriptors_serves_its_connections_and_recovers) {
    run_watched(
        [](World&) -> Coro<> {
            const auto& reports = collect_reports();
            Server server = co_await start_server(echo, loopback, 0);
            const Address address = Address::ip(loopback, server.port());
            const Stream served = co_await open_connection(address);
            co_await expect_echo(served, "before");
            Socket late(AF_INET);
            {
                const NoMoreDescriptors limit;
                co_await late.connect(address);
                co_await late.sendall("late");
                const bool reported = co_await becomes([&] { return !reports.empty(); });
                EXPECT_TRUE(reported);
                co_await expect_echo(served, "meanwhile");
                EXPECT_EQ(server.connections(), 1u);
            }
            const std::string answer = co_await late.recv(100);
            EXPECT_EQ(answer, "late");
            EXPECT_EQ(reports.size(), 1u);
            served.close();
            late.close();
            co_await end(server);
        },
        kernel_backend());
}

// --- Addresses ----------------------------------------------------------------------------------

TEST(accepting, NET_13_one_address_that_cannot_be_used_leaves_none_in_use) {
    run_watched([](World& world) -> Coro<> {
        Server other = co_await start_server(echo, "127.0.0.2", 0);
        const int before = world.open_sockets;
        std::vector<std::string> hosts{"127.0.0.1", "127.0.0.2"};
        const std::string message = co_await error_text(start_server(echo, hosts, other.port()));
        EXPECT_EQ(message,
                  "bind to " + other.addresses().front().to_string() + ": Address already in use");
        EXPECT_EQ(world.open_sockets, before);
        co_await end(other);
    });
}

TEST(accepting, the_address_of_a_server_that_has_ended_can_be_used_at_once) {
    run_watched([](World&) -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0);
        const int port = server.port();
        for (int round = 0; round < 20; ++round) {
            {
                const Stream client = co_await open_connection(loopback, port);
                co_await expect_echo(client, "hello");
            }
            co_await end(server);
            server = co_await start_server(echo, loopback, port);
        }
        co_await end(server);
    });
}

TEST(accepting, NET_13_an_address_of_a_host_that_this_machine_does_not_have_is_left_out) {
    run_watched([](World& world) -> Coro<> {
        world.hosts["two.test"] = {"198.51.100.1", "127.0.0.1"};
        world.hosts["far.test"] = {"198.51.100.1", "198.51.100.2"};
        Server server = co_await start_server(echo, "two.test", 0);
        EXPECT_EQ(server.addresses().size(), 1u);
        EXPECT_EQ(server.addresses().front().host(), "127.0.0.1");
        std::vector<std::string> hosts{"127.0.0.1", "far.test"};
        const int error = co_await error_number(start_server(echo, hosts, 0));
        EXPECT_EQ(error, EADDRNOTAVAIL);
        co_await end(server);
    });
}

TEST(accepting, NET_14_two_servers_share_a_port_if_both_want_it) {
    run_watched([](World&) -> Coro<> {
        Server first = co_await start_server(echo, loopback, 0, {.reuse_port = true});
        Server second = co_await start_server(echo, loopback, first.port(), {.reuse_port = true});
        EXPECT_EQ(first.port(), second.port());
        const int refused = co_await error_number(start_server(echo, loopback, first.port()));
        EXPECT_EQ(refused, EADDRINUSE);
        for (int i = 0; i < 8; ++i) {
            const Stream client = co_await open_connection(loopback, first.port());
            co_await expect_echo(client, "hello");
        }
        co_await end(first);
        co_await end(second);
    });
}

TEST(accepting, a_name_with_several_addresses_gives_a_socket_for_each) {
    run_watched([](World& world) -> Coro<> {
        world.hosts["two.test"] = {"127.0.0.1", "127.0.0.2", "127.0.0.1"};
        Server server = co_await start_server(echo, "two.test", 0);
        std::vector<std::string> hosts;
        for (const Address& address : server.addresses()) hosts.push_back(address.host());
        EXPECT_EQ(hosts, (std::vector<std::string>{"127.0.0.1", "127.0.0.2"}));
        co_await end(server);
    });
}

TEST(accepting, NET_25_a_socket_that_the_program_has_accepted_becomes_a_stream) {
    run_watched([](World&) -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::ip(loopback, 0));
        listener.listen();
        const Stream client = co_await open_connection(listener.getsockname());
        Accepted accepted = co_await listener.accept();
        const Stream server = connect_accepted_socket(std::move(accepted.socket));
        EXPECT_EQ(server.peer(), client.local());
        EXPECT_EQ(server.local(), client.peer());
        co_await client.send("question\n");
        const std::string line = co_await server.readline();
        EXPECT_EQ(line, "question\n");
        server.close();
        const std::string rest = co_await client.read();
        EXPECT_EQ(rest, "");
    });
}

TEST(accepting, NET_25_a_reset_of_it_is_told_by_the_first_read) {
    run_watched([](World&) -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::ip(loopback, 0));
        listener.listen();
        {
            Socket client(AF_INET);
            co_await client.connect(listener.getsockname());
            reset_when_closed(client);
        }
        Accepted accepted = co_await listener.accept();
        co_await readable(accepted.socket.fileno());
        const Stream stream = connect_accepted_socket(std::move(accepted.socket));
        const int error = co_await error_number(stream.read());
        EXPECT_EQ(error, ECONNRESET);
        EXPECT_THROW(connect_accepted_socket(Socket()), OsError);
    });
}

}  // namespace
