// The operations on stream sockets: connect, accept, bytes in both directions, the two ends of a
// connection, options.

#include "conformance/harness.h"

#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace asyncio::lowlevel::conformance {
namespace {

TEST_P(Sockets, a_connection_carries_bytes_in_both_directions) {
    const auto [client, server] = connection();
    EXPECT_EQ(send(client, "question"), 8);
    EXPECT_EQ(recv_exactly(server, 8), "question");
    EXPECT_EQ(send(server, "answer"), 6);
    EXPECT_EQ(recv_exactly(client, 6), "answer");
}

TEST_P(Sockets, read_and_write_work_on_sockets) {
    const auto [client, server] = connection();
    EXPECT_EQ(write(client, "x"), 1);
    EXPECT_EQ(read(server), "x");
}

TEST_P(Sockets, an_accept_waits_for_a_connection_and_tells_the_peer) {
    SocketAddress address;
    const int listening = listener(address);
    SocketAddress peer;
    Asked accepting({.kind = OperationKind::accept,
                     .fd = listening,
                     .buffer = peer.get(),
                     .size = sizeof peer.storage});
    ASSERT_TRUE(driver().submit(accepting));
    const int client = make_socket(AF_INET, SOCK_STREAM);
    EXPECT_EQ(connect(client, address), 0);
    if (driver().is_in_flight(accepting)) driver().finish(accepting);
    keep(accepting.result);
    SocketAddress local;
    EXPECT_EQ(run({.kind = OperationKind::getsockname,
                   .fd = client,
                   .buffer = local.get(),
                   .size = sizeof local.storage}),
              0);
    EXPECT_EQ(accepting.size, sizeof(sockaddr_in));
    EXPECT_EQ(std::memcmp(peer.get(), local.get(), sizeof(sockaddr_in)), 0);
}

TEST_P(Sockets, both_ends_know_the_addresses_of_the_connection) {
    SocketAddress address;
    const int listening = listener(address);
    const int client = make_socket(AF_INET, SOCK_STREAM);
    ASSERT_EQ(connect(client, address), 0);
    const int server = accept(listening);
    SocketAddress peer;
    EXPECT_EQ(run({.kind = OperationKind::getpeername,
                   .fd = client,
                   .buffer = peer.get(),
                   .size = sizeof peer.storage}),
              0);
    EXPECT_EQ(std::memcmp(peer.get(), address.get(), sizeof(sockaddr_in)), 0);
    EXPECT_EQ(run({.kind = OperationKind::getsockname,
                   .fd = server,
                   .buffer = peer.get(),
                   .size = sizeof peer.storage}),
              0);
    EXPECT_EQ(std::memcmp(peer.get(), address.get(), sizeof(sockaddr_in)), 0);
}

TEST_P(Sockets, a_cancelled_accept_loses_no_connection) {
    SocketAddress address;
    const int listening = listener(address);
    Asked accepting({.kind = OperationKind::accept, .fd = listening});
    ASSERT_TRUE(driver().submit(accepting));
    const int client = make_socket(AF_INET, SOCK_STREAM);
    Asked connecting({.kind = OperationKind::connect,
                      .fd = client,
                      .buffer = address.get(),
                      .size = address.length});
    driver().submit(connecting);
    if (driver().is_in_flight(accepting)) driver().cancel(accepting);
    driver().finish_all();
    EXPECT_EQ(connecting.result, 0);
    const int server = accepting.result == -ECANCELED ? accept(listening) : keep(accepting.result);
    EXPECT_EQ(send(client, "x"), 1);
    EXPECT_EQ(recv(server), "x");
}

TEST_P(Sockets, a_connect_to_a_port_without_a_listener_is_refused) {
    SocketAddress address;
    close(listener(address));
    EXPECT_EQ(connect(make_socket(AF_INET, SOCK_STREAM), address), -ECONNREFUSED);
}

TEST_P(Sockets, a_socket_is_connected_once) {
    const auto [client, server] = connection();
    SocketAddress peer;
    ASSERT_EQ(run({.kind = OperationKind::getpeername,
                   .fd = client,
                   .buffer = peer.get(),
                   .size = sizeof peer.storage}),
              0);
    peer.length = sizeof(sockaddr_in);
    EXPECT_EQ(connect(client, peer), -EISCONN);
}

TEST_P(Sockets, a_socket_that_is_not_connected_has_no_peer) {
    const int fd = make_socket(AF_INET, SOCK_STREAM);
    SocketAddress peer;
    EXPECT_EQ(run({.kind = OperationKind::getpeername,
                   .fd = fd,
                   .buffer = peer.get(),
                   .size = sizeof peer.storage}),
              -ENOTCONN);
    std::string byte(1, ' ');
    EXPECT_EQ(run({.kind = OperationKind::recv, .fd = fd, .buffer = byte.data(), .size = 1}),
              -ENOTCONN);
}

TEST_P(Sockets, an_address_is_used_by_one_listener) {
    SocketAddress address;
    listener(address);
    const int second = make_socket(AF_INET, SOCK_STREAM);
    EXPECT_EQ(run({.kind = OperationKind::bind,
                   .fd = second,
                   .buffer = address.get(),
                   .size = sizeof(sockaddr_in)}),
              -EADDRINUSE);
}

TEST_P(Sockets, a_shut_down_direction_ends_and_the_other_goes_on) {
    const auto [client, server] = connection();
    EXPECT_EQ(send(client, "last"), 4);
    EXPECT_EQ(run({.kind = OperationKind::shutdown, .fd = client, .flags = SHUT_WR}), 0);
    EXPECT_EQ(recv_exactly(server, 4), "last");
    EXPECT_EQ(recv(server), "");
    EXPECT_EQ(send(server, "still here"), 10);
    EXPECT_EQ(recv_exactly(client, 10), "still here");
    EXPECT_EQ(send(client, "x"), -EPIPE);
}

TEST_P(Sockets, a_shutdown_ends_a_read_in_flight) {
    const auto [client, server] = connection();
    std::string byte(1, ' ');
    Asked reading(
        {.kind = OperationKind::recv, .fd = client, .buffer = byte.data(), .size = byte.size()});
    ASSERT_TRUE(driver().submit(reading));
    EXPECT_EQ(run({.kind = OperationKind::shutdown, .fd = client, .flags = SHUT_RD}), 0);
    if (driver().is_in_flight(reading)) driver().finish(reading);
    EXPECT_EQ(reading.result, 0);
}

TEST_P(Sockets, a_read_and_a_write_wait_on_one_socket_and_a_close_ends_both) {
    const auto [client, server] = connection();
    std::string byte(1, ' ');
    Asked reading(
        {.kind = OperationKind::recv, .fd = client, .buffer = byte.data(), .size = byte.size()});
    ASSERT_TRUE(driver().submit(reading));
    fill(client);
    Asked writing(
        {.kind = OperationKind::send, .fd = client, .buffer = byte.data(), .size = byte.size()});
    // The kernel may move bytes on to the peer, and then has room again.
    while (!driver().submit(writing)) ASSERT_EQ(writing.result, 1);
    EXPECT_EQ(close(client), 0);
    driver().finish_all();
    EXPECT_EQ(reading.result, -ECANCELED);
    EXPECT_EQ(writing.result, -ECANCELED);
}

TEST_P(Sockets, the_peer_sees_the_close_behind_the_bytes) {
    const auto [client, server] = connection();
    EXPECT_EQ(send(client, "last"), 4);
    EXPECT_EQ(close(client), 0);
    EXPECT_EQ(recv_exactly(server, 4), "last");
    EXPECT_EQ(recv(server), "");
}

TEST_P(Sockets, a_close_with_unread_bytes_resets_the_connection) {
    const auto [client, server] = connection();
    EXPECT_EQ(send(client, "never read"), 10);
    driver().wait_out(soon());
    EXPECT_EQ(close(server), 0);
    std::string byte(1, ' ');
    EXPECT_EQ(run({.kind = OperationKind::recv, .fd = client, .buffer = byte.data(), .size = 1}),
              -ECONNRESET);
}

TEST_P(Sockets, a_peek_leaves_the_bytes) {
    const auto [client, server] = connection();
    EXPECT_EQ(send(client, "abc"), 3);
    std::string seen(3, ' ');
    const int count = run({.kind = OperationKind::recv,
                           .fd = server,
                           .flags = MSG_PEEK,
                           .buffer = seen.data(),
                           .size = seen.size()});
    ASSERT_GT(count, 0);
    EXPECT_EQ(seen.substr(0, static_cast<std::size_t>(count)),
              std::string("abc", static_cast<std::size_t>(count)));
    EXPECT_EQ(recv_exactly(server, 3), "abc");
}

TEST_P(Sockets, options_are_set_and_asked_for) {
    const int fd = make_socket(AF_INET, SOCK_STREAM);
    int value = 1;
    EXPECT_EQ(run({.kind = OperationKind::setsockopt,
                   .fd = fd,
                   .second_fd = TCP_NODELAY,
                   .flags = IPPROTO_TCP,
                   .buffer = &value,
                   .size = sizeof value}),
              0);
    value = 0;
    Asked asking({.kind = OperationKind::getsockopt,
                  .fd = fd,
                  .second_fd = TCP_NODELAY,
                  .flags = IPPROTO_TCP,
                  .buffer = &value,
                  .size = sizeof value});
    EXPECT_EQ(driver().run(asking), 0);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(asking.size, sizeof value);
}

TEST_P(Sockets, several_buffers_go_out_and_come_in_by_one_call) {
    const auto [client, server] = connection();
    char first[] = "ab";
    char second[] = "cde";
    iovec parts[2] = {{first, 2}, {second, 3}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    EXPECT_EQ(run({.kind = OperationKind::sendmsg, .fd = client, .buffer = &message, .size = 1}),
              5);
    char one[1];
    char rest[8];
    iovec rooms[2] = {{one, 1}, {rest, 8}};
    msghdr received{};
    received.msg_iov = rooms;
    received.msg_iovlen = 2;
    int count = 0;
    while (count < 5) {
        rooms[1] = {rest + (count > 0 ? count - 1 : 0), 8};
        if (count > 0) received.msg_iov = rooms + 1, received.msg_iovlen = 1;
        const int more =
            run({.kind = OperationKind::recvmsg, .fd = server, .buffer = &received, .size = 1});
        ASSERT_GT(more, 0);
        count += more;
    }
    EXPECT_EQ(one[0], 'a');
    EXPECT_EQ(std::string(rest, 4), "bcde");
}

TEST_P(Sockets, a_write_into_a_full_connection_waits_for_the_reader) {
    const auto [client, server] = connection();
    fill(client);
    Asked writing(
        {.kind = OperationKind::send, .fd = client, .buffer = const_cast<char*>("x"), .size = 1});
    while (!driver().submit(writing)) ASSERT_EQ(writing.result, 1);
    while (driver().is_in_flight(writing)) recv(server, 65536);
    EXPECT_EQ(writing.result, 1);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
