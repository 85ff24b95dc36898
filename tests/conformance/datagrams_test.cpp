// The operations on datagram sockets.

#include "conformance/harness.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// One datagram with its address, for `sendmsg` and `recvmsg`.
struct Message {
    explicit Message(std::string text) : bytes(std::move(text)) {
        part = {bytes.data(), bytes.size()};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    Message& to(SocketAddress& address) {
        header.msg_name = address.get();
        header.msg_namelen = sizeof(sockaddr_in);
        return *this;
    }
    Message& with_room_for(SocketAddress& address) {
        header.msg_name = address.get();
        header.msg_namelen = sizeof address.storage;
        return *this;
    }

    std::string bytes;
    iovec part{};
    msghdr header{};
};

OperationRequest request_of(OperationKind kind, int fd, Message& message) {
    return {.kind = kind, .fd = fd, .buffer = &message.header, .size = 1};
}

TEST_P(Sockets, a_datagram_arrives_whole_with_the_address_of_its_sender) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    Message sent("hello");
    Message got(std::string(100, ' '));
    SocketAddress from;
    Asked receiving(request_of(OperationKind::recvmsg, receiver, got.with_room_for(from)));
    ASSERT_TRUE(driver().submit(receiving));
    EXPECT_EQ(run(request_of(OperationKind::sendmsg, sender, sent.to(there))), 5);
    if (driver().is_in_flight(receiving)) driver().finish(receiving);
    EXPECT_EQ(receiving.result, 5);
    EXPECT_EQ(got.bytes.substr(0, 5), "hello");
    EXPECT_EQ(std::memcmp(from.get(), here.get(), sizeof(sockaddr_in)), 0);
}

TEST_P(Sockets, an_empty_datagram_is_a_datagram) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    Message sent("");
    Message got("room");
    EXPECT_EQ(run(request_of(OperationKind::sendmsg, sender, sent.to(there))), 0);
    EXPECT_EQ(run(request_of(OperationKind::recvmsg, receiver, got)), 0);
}

TEST_P(Sockets, what_does_not_fit_of_a_datagram_is_lost) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    Message sent("too long");
    Message next("next");
    Message got("room");
    EXPECT_EQ(run(request_of(OperationKind::sendmsg, sender, sent.to(there))), 8);
    EXPECT_EQ(run(request_of(OperationKind::sendmsg, sender, next.to(there))), 4);
    EXPECT_EQ(run(request_of(OperationKind::recvmsg, receiver, got)), 4);
    EXPECT_EQ(got.bytes, "too ");
    EXPECT_NE(got.header.msg_flags & MSG_TRUNC, 0);
    EXPECT_EQ(run(request_of(OperationKind::recvmsg, receiver, got)), 4);
    EXPECT_EQ(got.bytes, "next");
}

TEST_P(Sockets, a_connected_datagram_socket_needs_no_address) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    there.length = sizeof(sockaddr_in);
    EXPECT_EQ(connect(sender, there), 0);
    EXPECT_EQ(send(sender, "hello"), 5);
    EXPECT_EQ(recv(receiver), "hello");
}

TEST_P(Sockets, a_datagram_to_a_closed_port_is_refused_later) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    close(bound_datagram_socket(there));
    there.length = sizeof(sockaddr_in);
    ASSERT_EQ(connect(sender, there), 0);
    EXPECT_EQ(send(sender, "x"), 1);
    std::string byte(1, ' ');
    EXPECT_EQ(run({.kind = OperationKind::recv, .fd = sender, .buffer = byte.data(), .size = 1}),
              -ECONNREFUSED);
}

TEST_P(Sockets, several_datagrams_are_sent_and_received_by_one_call) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    std::array<Message, 3> sent{Message("one"), Message("two"), Message("three")};
    std::array<mmsghdr, 3> out{};
    for (std::size_t i = 0; i < 3; ++i) out[i].msg_hdr = sent[i].to(there).header;
    EXPECT_EQ(run({.kind = OperationKind::sendmmsg, .fd = sender, .buffer = out.data(), .size = 3}),
              3);
    std::array<Message, 4> got{Message("aaaaa"), Message("bbbbb"), Message("ccccc"),
                               Message("ddddd")};
    std::array<mmsghdr, 4> in{};
    for (std::size_t i = 0; i < 4; ++i) in[i].msg_hdr = got[i].header;
    std::size_t count = 0;
    while (count < 3) {
        const int more = run({.kind = OperationKind::recvmmsg,
                              .fd = receiver,
                              .buffer = in.data() + count,
                              .size = 4 - count});
        ASSERT_GT(more, 0);
        count += static_cast<std::size_t>(more);
    }
    EXPECT_EQ(in[0].msg_len, 3u);
    EXPECT_EQ(in[2].msg_len, 5u);
    EXPECT_EQ(got[2].bytes, "three");
}

TEST_P(Sockets, a_receive_that_may_not_wait_finishes_within_submit) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    Message got("room");
    std::array<mmsghdr, 2> in{};
    for (mmsghdr& message : in) message.msg_hdr = got.header;
    const auto ask = [&](OperationKind kind) {
        OperationRequest request{.kind = kind, .fd = receiver, .flags = MSG_DONTWAIT};
        request.buffer = kind == OperationKind::recv      ? static_cast<void*>(got.bytes.data())
                         : kind == OperationKind::recvmsg ? static_cast<void*>(&got.header)
                                                          : in.data();
        request.size = kind == OperationKind::recv ? got.bytes.size() : in.size();
        Asked asked(request);
        EXPECT_FALSE(driver().submit(asked));
        return asked.result;
    };
    const auto kinds = {OperationKind::recv, OperationKind::recvmsg, OperationKind::recvmmsg};
    for (const OperationKind kind : kinds) EXPECT_EQ(ask(kind), -EAGAIN);
    for (const OperationKind kind : kinds) {
        Message sent("x");
        EXPECT_EQ(run(request_of(OperationKind::sendmsg, sender, sent.to(there))), 1);
        Poll arrival(receiver, POLLIN);
        driver().run(arrival);
        EXPECT_EQ(ask(kind), 1);
        EXPECT_EQ(ask(kind), -EAGAIN);
    }
}

TEST_P(Sockets, a_send_that_may_not_wait_finishes_within_submit) {
    const auto [sender, receiver] = connection();
    std::string piece(100'000, 'x');
    iovec part{piece.data(), piece.size()};
    mmsghdr message{};
    message.msg_hdr.msg_iov = &part;
    message.msg_hdr.msg_iovlen = 1;
    const auto ask = [&, to = sender](OperationKind kind) {
        const bool is_send = kind == OperationKind::send;
        Asked asked({.kind = kind,
                     .fd = to,
                     .flags = MSG_DONTWAIT,
                     .buffer = is_send ? static_cast<void*>(piece.data()) : &message,
                     .size = is_send ? piece.size() : 1});
        EXPECT_FALSE(driver().submit(asked));
        return asked.result;
    };
    int sent = 0;
    while ((sent = ask(OperationKind::send)) > 0) {
    }
    EXPECT_EQ(sent, -EAGAIN);
    EXPECT_EQ(ask(OperationKind::sendmsg), -EAGAIN);
    EXPECT_EQ(ask(OperationKind::sendmmsg), -EAGAIN);
    static_cast<void>(receiver);
}

TEST_P(Sockets, a_cancelled_receive_leaves_the_next_datagram) {
    SocketAddress here;
    SocketAddress there;
    const int sender = bound_datagram_socket(here);
    const int receiver = bound_datagram_socket(there);
    Message got("room");
    Asked receiving(request_of(OperationKind::recvmsg, receiver, got));
    ASSERT_TRUE(driver().submit(receiving));
    driver().cancel(receiving);
    driver().finish(receiving);
    EXPECT_EQ(receiving.result, -ECANCELED);
    Message sent("x");
    EXPECT_EQ(run(request_of(OperationKind::sendmsg, sender, sent.to(there))), 1);
    EXPECT_EQ(recv(receiver), "x");
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
