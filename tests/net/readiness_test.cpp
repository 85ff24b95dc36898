// A back-end remembers whether the library's sockets are ready. These are the cases in which the
// memory would be wrong if it believed too much: messages, cut reads, and numbers that are used
// again.

#include "net_help.h"

#include <array>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using namespace net_test;

namespace {

/// Two connected sockets of the kernel, the second of them as a plain descriptor.
std::pair<Socket, lowlevel::Fd> kernel_pair(int type) {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds.data()) != 0)
        throw OsError(errno, "socketpair");
    return {Socket(lowlevel::Fd(fds[0])), lowlevel::Fd(fds[1])};
}

Coro<std::string> receive(const Socket& receiver) { co_return co_await receiver.recv(100); }

/// Receives all messages that were sent while a task waited for the first.
Coro<> expect_all_messages(const Socket& receiver, int sender) {
    Task<std::string> first = create_task(receive(receiver));
    co_await sleep(0s);
    co_await sleep(0s);
    for (const std::string_view text : {"one", "two", "three"})
        EXPECT_EQ(::send(sender, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    EXPECT_EQ(co_await first, "one");
    EXPECT_EQ(co_await wait_for(receiver.recv(100), 5s), "two");
    EXPECT_EQ(co_await wait_for(receiver.recv(100), 5s), "three");
}

TEST(readiness, every_datagram_is_received_that_came_with_the_first) {
    run_test([]() -> Coro<> {
        const auto [receiver, sender] = kernel_pair(SOCK_DGRAM);
        co_await expect_all_messages(receiver, sender.get());
    });
}

TEST(readiness, every_message_of_a_sequence_is_received_that_came_with_the_first) {
    run_test([]() -> Coro<> {
        const auto [receiver, sender] = kernel_pair(SOCK_SEQPACKET);
        co_await expect_all_messages(receiver, sender.get());
    });
}

/// Sends a byte with a descriptor, at which a read of the receiver ends, and then more bytes.
void send_with_descriptor(int to) {
    char byte = 'A';
    iovec part{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    *reinterpret_cast<int*>(CMSG_DATA(header)) = to;
    EXPECT_EQ(::sendmsg(to, &message, 0), 1);
    EXPECT_EQ(::send(to, "rest", 4, 0), 4);
}

TEST(readiness, bytes_behind_a_descriptor_are_received_from_a_unix_socket) {
    run_test([]() -> Coro<> {
        auto [receiver, sender] = kernel_pair(SOCK_STREAM);
        const Stream stream = connect_accepted_socket(std::move(receiver));
        Task<std::string> first = create_task(stream.read(100));
        co_await sleep(1ms);
        send_with_descriptor(sender.get());
        std::string all = co_await first;
        while (all.size() < 5) all += co_await wait_for(stream.read(100), 5s);
        EXPECT_EQ(all, "Arest");
    });
}

TEST(readiness, bytes_behind_urgent_data_are_received) {
    run_test([]() -> Coro<> {
        if (is_simulated()) co_return;  // Its TCP has no urgent data.
        Stream received;
        const auto keep = [&](Stream stream) -> Coro<> {
            received = std::move(stream);
            co_await sleep(1h);
        };
        const Server server = co_await start_server(keep, loopback, 0);
        Socket client(AF_INET);
        co_await client.connect(server.addresses().front());
        EXPECT_TRUE(co_await becomes([&] { return static_cast<bool>(received); }));
        Task<std::string> first = create_task(received.read(100));
        co_await sleep(1ms);
        EXPECT_EQ(::send(client.fileno(), "abc", 3, 0), 3);
        EXPECT_EQ(::send(client.fileno(), "!", 1, MSG_OOB), 1);
        EXPECT_EQ(::send(client.fileno(), "def", 3, 0), 3);
        std::string all = co_await first;
        while (all.size() < 6) all += co_await wait_for(received.read(100), 5s);
        EXPECT_EQ(all, "abcdef");
    });
}

TEST(readiness, the_address_of_a_closed_listener_is_free_at_once) {
    run_test([]() -> Coro<> {
        Server server = co_await start_server(echo, loopback, 0, {.reuse_address = false});
        const int port = server.port();
        co_await sleep(1ms);
        server.close();
        const Server next = co_await start_server(echo, loopback, port, {.reuse_address = false});
        EXPECT_EQ(next.port(), port);
        co_await next.shutdown(0s);
        co_await server.wait_closed();
    });
}

TEST(readiness, the_address_of_a_closed_datagram_socket_is_free_at_once) {
    run_test([]() -> Coro<> {
        Socket socket(AF_INET, SOCK_DGRAM);
        socket.bind(Address::ip(loopback, 0));
        const Address address = socket.getsockname();
        co_await move_on_after(1ms, [&]() -> Coro<> { co_await socket.recv(1); });
        socket.close();
        Socket next(AF_INET, SOCK_DGRAM);
        next.bind(address);
        EXPECT_EQ(next.getsockname(), address);
    });
}

TEST(readiness, the_peer_sees_a_close_although_the_loop_never_waits) {
    run_test([]() -> Coro<> {
        if (is_simulated()) co_return;  // The peer here is a plain descriptor of the kernel.
        Socket listener(AF_INET);
        listener.bind(Address::ip(loopback, 0));
        listener.listen();
        const Address address = listener.getsockname();
        const lowlevel::Fd peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::connect(peer.get(), address.data(), address.size()), 0);
        {
            Accepted accepted = co_await listener.accept();
            listener.close();
            const Stream stream = connect_accepted_socket(std::move(accepted.socket));
            co_await move_on_after(1ms, [&]() -> Coro<> { co_await stream.read(1); });
        }
        char byte = 0;
        ssize_t got = -1;
        for (int turn = 0; turn < 1000 && got != 0; ++turn) {
            co_await sleep(0s);
            got = ::recv(peer.get(), &byte, 1, MSG_DONTWAIT);
        }
        EXPECT_EQ(got, 0);
    });
}

}  // namespace
