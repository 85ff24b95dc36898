// Goal: each call of a socket does what the kernel's call does, waits without losing anything, and
// says what failed.
// Method: sockets of the back-end on the loopback address and on Unix paths.

#include "net/net_help.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace net_test;

/// A connected pair over TCP: the one that has connected, and the accepted one.
struct Pair {
    Socket client;
    Socket server;
};

Coro<Pair> connected_pair(const Address& at = Address::ip(loopback, 0)) {
    Socket listener(at.family(), SOCK_STREAM);
    listener.bind(at);
    listener.listen();
    Pair pair;
    pair.client = Socket(at.family(), SOCK_STREAM);
    Task<Accepted> accepting = create_task(listener.accept());
    co_await pair.client.connect(listener.getsockname());
    Accepted accepted = co_await std::move(accepting);
    pair.server = std::move(accepted.socket);
    co_return pair;
}

TEST(socket, SCK_01_bytes_go_both_ways) {
    run_test([]() -> Coro<> {
        Pair pair = co_await connected_pair();
        const std::size_t sent = co_await pair.client.send("hello");
        EXPECT_EQ(sent, 5u);
        const std::string got = co_await pair.server.recv(100);
        EXPECT_EQ(got, "hello");
        char room[8];
        co_await pair.server.sendall("answer");
        const std::size_t count = co_await pair.client.recv_into(room);
        EXPECT_EQ(std::string(room, count), "answer");
        pair.server.close();
        const std::string end = co_await pair.client.recv(100);
        EXPECT_EQ(end, "");
    });
}

TEST(socket, SCK_02_much_arrives_whole_and_in_order) {
    run_test([]() -> Coro<> {
        Pair pair = co_await connected_pair();
        const std::string sent = numbered(10'000'000);
        Task<> sending = create_task(pair.client.sendall(sent));
        std::string got;
        std::vector<char> room(100'000);
        while (got.size() < sent.size()) {
            const std::size_t count = co_await pair.server.recv_into(room);
            got.append(room.data(), count);
        }
        co_await sending;
        EXPECT_TRUE(got == sent);
    });
}

TEST(socket, SCK_03_a_receive_after_a_cancelled_one_gets_the_bytes) {
    run_test([]() -> Coro<> {
        Pair pair = co_await connected_pair();
        const auto receive = [&]() -> Coro<std::string> {
            co_return co_await pair.server.recv(10);
        };
        Task<std::string> first = create_task(receive());
        co_await sleep(1ms);
        first.cancel();
        Task<std::string> second = create_task(receive());
        co_await until_done(first);
        EXPECT_TRUE(first.cancelled());
        co_await pair.client.sendall("data");
        const std::string got = co_await second;
        EXPECT_EQ(got, "data");
    });
}

TEST(socket, SCK_03_a_callback_after_a_cancelled_receive_is_called_for_the_bytes) {
    run_test([]() -> Coro<> {
        Pair pair = co_await connected_pair();
        EventLoop& loop = get_running_loop();
        const int fd = pair.server.fileno();
        const auto receive = [&]() -> Coro<std::string> {
            co_return co_await pair.server.recv(10);
        };
        for (int steps = 0; steps < 3; ++steps) {
            Task<std::string> first = create_task(receive());
            co_await sleep(1ms);
            first.cancel();
            // Before, while and after the back-end ends the receive.
            for (int step = 0; step < steps; ++step) co_await sleep(0ms);
            Event called;
            loop.add_reader(fd, [&] {
                called.set();
                loop.remove_reader(fd);
            });
            co_await until_done(first);
            EXPECT_TRUE(first.cancelled());
            EXPECT_FALSE(called.is_set());
            co_await pair.client.sendall("data");
            co_await called.wait();
            const std::string got = co_await pair.server.recv(10);
            EXPECT_EQ(got, "data");
        }
    });
}

TEST(socket, SCK_04_bytes_that_arrive_with_a_cancellation_are_not_lost) {
    run_test([]() -> Coro<> {
        Pair pair = co_await connected_pair();
        std::string got;
        const auto receive = [&]() -> Coro<> { got += co_await pair.server.recv(10); };
        for (int round = 0; round < 20; ++round) {
            Task<> receiving = create_task(receive());
            co_await sleep(0ms);
            co_await pair.client.sendall("x");
            receiving.cancel();
            co_await until_done(receiving);
        }
        while (got.size() < 20) got += co_await pair.server.recv(100);
        EXPECT_EQ(got, std::string(20, 'x'));
    });
}

TEST(socket, SCK_07_a_connection_that_arrives_with_a_cancellation_is_not_lost) {
    run_test([]() -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::ip(loopback, 0));
        listener.listen();
        const Address address = listener.getsockname();
        int accepted = 0;
        const auto accept = [&]() -> Coro<> {
            co_await listener.accept();
            ++accepted;
        };
        for (int round = 0; round < 10; ++round) {
            Task<> accepting = create_task(accept());
            co_await sleep(0ms);
            Socket client(AF_INET);
            Task<> connecting = create_task(client.connect(address));
            for (int step = 0; step < round % 4; ++step) co_await sleep(0ms);
            accepting.cancel();
            co_await until_done(accepting);
            co_await connecting;
        }
        while (accepted < 10) co_await accept();
        EXPECT_EQ(accepted, 10);
    });
}

TEST(socket, SCK_17_a_closed_listener_keeps_no_connection_waiting) {
    run_test([]() -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::ip(loopback, 0));
        listener.listen();
        const Address address = listener.getsockname();
        const bool cut_short =
            co_await move_on_after(5ms, [&]() -> Coro<> { co_await listener.accept(); });
        EXPECT_TRUE(cut_short);
        listener.close();
        co_await sleep(1ms);
        Socket client(AF_INET);
        const std::string message = co_await error_text(client.connect(address));
        EXPECT_EQ(message, "connect to " + address.to_string() + ": Connection refused");
    });
}

TEST(socket, a_close_ends_a_receive_that_waits) {
    run_test([]() -> Coro<> {
        Pair pair = co_await connected_pair();
        const auto receive = [&]() -> Coro<std::string> {
            co_return co_await pair.server.recv(10);
        };
        Task<std::string> receiving = create_task(receive());
        co_await sleep(1ms);
        pair.server.close();
        const int error = co_await error_number(std::move(receiving));
        EXPECT_EQ(error, ECANCELED);
        const int later = co_await error_number(receive());
        EXPECT_EQ(later, EBADF);
    });
}

TEST(socket, datagrams_arrive_with_the_address_of_their_sender) {
    run_test([]() -> Coro<> {
        Socket one(AF_INET, SOCK_DGRAM);
        Socket other(AF_INET, SOCK_DGRAM);
        one.bind(Address::ip(loopback, 0));
        other.bind(Address::ip(loopback, 0));
        co_await one.sendto("hello", other.getsockname());
        ReceivedFrom got = co_await other.recvfrom(100);
        EXPECT_EQ(got.data, "hello");
        EXPECT_EQ(got.address, one.getsockname());
        co_await other.sendto("too long", got.address);
        char room[3];
        const ReceivedIntoFrom part = co_await one.recvfrom_into(room);
        EXPECT_EQ(part.size, 3u);
        EXPECT_TRUE(part.truncated);
        EXPECT_EQ(part.address, other.getsockname());
    });
}

TEST(socket, options_are_set_and_asked_for) {
    run_test([]() -> Coro<> {
        Socket socket(AF_INET);
        EXPECT_EQ(socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE), 0);
        socket.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1);
        EXPECT_NE(socket.getsockopt(SOL_SOCKET, SO_KEEPALIVE), 0);
        co_return;
    });
}

TEST(socket, an_empty_socket_says_so) {
    run_test([]() -> Coro<> {
        const Socket none;
        EXPECT_FALSE(none);
        EXPECT_EQ(none.fileno(), -1);
        EXPECT_THROW(none.listen(), OsError);
        EXPECT_THROW(static_cast<void>(none.getsockname()), OsError);
        const auto receive = [&]() -> Coro<std::string> { co_return co_await none.recv(10); };
        const int error = co_await error_number(receive());
        EXPECT_EQ(error, EBADF);
    });
}

TEST(socket, needs_a_loop) { EXPECT_THROW(Socket(AF_INET), RuntimeError); }

}  // namespace
