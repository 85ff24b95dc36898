// Goal: the functions of the loop for sockets are those of `Socket`, and refuse another loop.
// Method: programs as they are written in Python, on every back-end.

#include "net/datagram_help.h"
#include "support/how.h"

#include <cstdio>
#include <stdexcept>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace {

using namespace net_test;

TEST(loop_sockets, SCK_01_a_round_trip_by_the_functions_of_the_loop) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Socket listener(AF_INET);
        listener.bind(here());
        listener.listen();
        Socket client(AF_INET);
        Task<Accepted> accepting = create_task(loop.sock_accept(listener));
        co_await loop.sock_connect(client, listener.getsockname());
        const Accepted accepted = co_await std::move(accepting);
        EXPECT_EQ(accepted.address, client.getsockname());
        co_await loop.sock_sendall(client, "hello");
        std::string got = co_await loop.sock_recv(accepted.socket, 100);
        EXPECT_EQ(got, "hello");
        co_await loop.sock_sendall(accepted.socket, "answer");
        char room[4];
        const std::size_t count = co_await loop.sock_recv_into(client, room);
        EXPECT_EQ(std::string(room, count), "answ");
        got = co_await loop.sock_recv(client, 100);
        EXPECT_EQ(got, "er");
    });
}

TEST(loop_sockets, SCK_01_a_round_trip_over_unix_sockets) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Address address = Address::local(abstract_name());
        Socket listener(AF_UNIX);
        listener.bind(address);
        listener.listen();
        Socket client(AF_UNIX);
        Task<Accepted> accepting = create_task(loop.sock_accept(listener));
        co_await loop.sock_connect(client, address);
        const Accepted accepted = co_await std::move(accepting);
        co_await loop.sock_sendall(client, "hello");
        const std::string got = co_await loop.sock_recv(accepted.socket, 100);
        EXPECT_EQ(got, "hello");
    });
}

TEST(loop_sockets, SCK_08_an_accepted_socket_does_not_block) {
    run_test([]() -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(here());
        listener.listen();
        Socket client(AF_INET);
        Task<Accepted> accepting = create_task(listener.accept());
        co_await client.connect(listener.getsockname());
        const Accepted accepted = co_await std::move(accepting);
        EXPECT_EQ(accepted.address, client.getsockname());
        const int fd = accepted.socket.fileno();
        if (!is_simulated()) {
            EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        }
        const bool cut_short =
            co_await move_on_after(1ms, [&]() -> Coro<> { co_await accepted.socket.recv(1); });
        EXPECT_TRUE(cut_short);
    });
}

TEST(loop_sockets, SCK_12_a_blocking_socket_is_switched_to_non_blocking_mode) {
    run_test([]() -> Coro<> {
        lowlevel::Fd blocking(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const int fd = blocking.get();
        EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        const Socket socket(std::move(blocking));
        EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        const std::string text = co_await error_text([]() -> Coro<> {
            const Socket none{lowlevel::Fd(1'000'000)};
            co_return;
        }());
        EXPECT_EQ(text, "use descriptor 1000000 as a socket: Bad file descriptor");
    });
}

TEST(loop_sockets, datagrams_by_the_functions_of_the_loop) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Socket one(AF_INET, SOCK_DGRAM);
        Socket other(AF_INET, SOCK_DGRAM);
        one.bind(here());
        other.bind(here());
        const std::size_t sent = co_await loop.sock_sendto(one, "hello", other.getsockname());
        EXPECT_EQ(sent, 5u);
        ReceivedFrom message = co_await loop.sock_recvfrom(other, 3);
        EXPECT_EQ(message.data, "hel");
        EXPECT_TRUE(message.truncated);
        EXPECT_EQ(message.address, one.getsockname());
        co_await loop.sock_sendto(other, "answer", message.address);
        char room[8];
        ReceivedIntoFrom part = co_await loop.sock_recvfrom_into(one, room);
        EXPECT_EQ(std::string(room, part.size), "answer");
        EXPECT_FALSE(part.truncated);
        co_await loop.sock_sendto(other, "answer", message.address);
        part = co_await loop.sock_recvfrom_into(one, room, 3);
        EXPECT_EQ(std::string(room, part.size), "ans");
        EXPECT_TRUE(part.truncated);
    });
}

TEST(loop_sockets, SCK_09_more_bytes_than_room_are_refused) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Socket socket(AF_INET, SOCK_DGRAM);
        char room[8];
        const std::span<char> span(room);
        EXPECT_THROW(static_cast<void>(loop.sock_recvfrom_into(socket, span, 9)),
                     std::invalid_argument);
        co_return;
    });
}

TEST(loop_sockets, SCK_10_a_datagram_waits_for_room_and_is_sent_whole) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Socket receiver(AF_UNIX, SOCK_DGRAM);
        const Socket sender(AF_UNIX, SOCK_DGRAM);
        const Address address = Address::local(abstract_name());
        receiver.bind(address);
        const std::string data = numbered(5000);
        int sent = 0;
        const auto send = [&]() -> Coro<> {
            while (sent < 30) {
                const std::size_t size = co_await loop.sock_sendto(sender, data, address);
                EXPECT_EQ(size, data.size());
                ++sent;
            }
        };
        Task<> sending = create_task(send());
        co_await sleep(1ms);
        EXPECT_LT(sent, 30);
        for (int received = 0; received < 30; ++received) {
            const ReceivedFrom message = co_await loop.sock_recvfrom(receiver, 10'000);
            EXPECT_TRUE(message.data == data);
        }
        co_await sending;
    });
}

TEST(loop_sockets, SCK_11_a_datagram_to_a_closed_port_does_not_disturb_the_next_receive) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Address nobody = co_await closed_port();
        Socket socket(AF_INET, SOCK_DGRAM);
        Socket peer(AF_INET, SOCK_DGRAM);
        socket.bind(here());
        peer.bind(here());
        co_await loop.sock_sendto(socket, "into the void", nobody);
        co_await sleep(1ms);
        co_await loop.sock_sendto(peer, "real", socket.getsockname());
        const ReceivedFrom message = co_await loop.sock_recvfrom(socket, 100);
        EXPECT_EQ(message.data, "real");
    });
}

TEST(loop_sockets, SCK_16_a_name_is_looked_up_for_the_family_of_the_socket) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Socket listener(AF_INET6);
        listener.bind(Address::loopback_v6(0));
        listener.listen();
        const int port = listener.getsockname().port();
        Socket client(AF_INET6);
        Task<Accepted> accepting = create_task(listener.accept());
        // The empty name is this machine, in both families.
        co_await loop.sock_connect(client, "", port);
        EXPECT_EQ(client.getpeername(), listener.getsockname());
        co_await accepting;
        Socket other(AF_INET);
        const std::string text = co_await error_text(loop.sock_connect(other, "::1", port));
        EXPECT_NE(text.find("look up \"::1\""), std::string::npos) << text;
        Socket datagrams(AF_INET, SOCK_DGRAM);
        co_await loop.sock_connect(datagrams, "127.0.0.1", 9);
        EXPECT_EQ(datagrams.getpeername(), here(9));
    });
}

TEST(loop_sockets, NET_25_a_socket_that_was_accepted_elsewhere_becomes_a_stream) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Socket listener(AF_INET);
        listener.bind(here());
        listener.listen();
        Socket client(AF_INET);
        Task<Accepted> accepting = create_task(listener.accept());
        co_await client.connect(listener.getsockname());
        Accepted accepted = co_await std::move(accepting);
        Stream stream = loop.connect_accepted_socket(std::move(accepted.socket), {.limit = 100});
        EXPECT_EQ(stream.peer(), client.getsockname());
        EXPECT_EQ(stream.local(), listener.getsockname());
        co_await client.sendall("line\n");
        const std::string line = co_await stream.readline();
        EXPECT_EQ(line, "line\n");
    });
}

TEST(loop_sockets, another_loop_is_refused) {
    const support::LogCapture log;
    support::TestLoop other;
    run_test([&]() -> Coro<> {
        const Socket socket(AF_INET, SOCK_DGRAM);
        const std::string text = co_await error_text(other->sock_recv(socket, 10));
        EXPECT_EQ(text, "EventLoop::sock_recv() must be awaited in a task of that loop");
        const std::string endpoint = co_await error_text(other->create_datagram_endpoint(
            std::make_shared<DatagramProtocol>(), DatagramOptions{.local_addr = here()}));
        EXPECT_EQ(endpoint,
                  "EventLoop::create_datagram_endpoint() must be awaited in a task of that loop");
        EXPECT_THROW(other->connect_accepted_socket(Socket(AF_INET)), RuntimeError);
    });
    other->close();
    run_test([&]() -> Coro<> {
        const Socket socket(AF_INET, SOCK_DGRAM);
        EXPECT_THROW(static_cast<void>(other->sock_recv(socket, 10)), RuntimeError);
        co_return;
    });
}

}  // namespace
