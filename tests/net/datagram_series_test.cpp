// Goal: a series of datagrams that the kernel hands over as one piece is taken apart, whatever else
// the kernel tells about it.
// Method: options of the sockets that add ancillary data; room for them that was made too small.

#include <asyncio/lowlevel/perform_now.h>

#include "net/datagram_help.h"
#include "net/receive_room.h"

#include <utility>

#include <netinet/in.h>
#include <netinet/udp.h>

namespace {

using namespace net_test;

/// What an endpoint with the options receives, when ten datagrams of one size were sent at once.
Coro<std::vector<std::string>> received_with(std::vector<std::pair<int, int>> options) {
    Socket socket(AF_INET, SOCK_DGRAM);
    for (const auto& [level, option] : options) socket.setsockopt(level, option, 1);
    socket.bind(here());
    Datagram server(std::move(socket));
    Datagram client = co_await connected_endpoint(server.local());
    const std::vector<std::string> sent = numbered_texts(10, 100);
    co_await client.send_many(sent);
    co_return co_await receive_texts(server, sent.size());
}

TEST(datagram_series,
     UDP_10_what_options_of_the_program_tell_of_a_datagram_does_not_hide_a_series) {
    if (is_simulated()) GTEST_SKIP() << "NOT TESTED: the simulated world knows no such options";
    run_test([]() -> Coro<> {
        const std::vector<std::string> expected = numbered_texts(10, 100);
        std::vector<std::pair<int, int>> options{{SOL_SOCKET, SO_TIMESTAMP}};
        const std::vector<std::string> stamped = co_await received_with(options);
        EXPECT_TRUE(stamped == expected);
        options = {{SOL_SOCKET, SO_TIMESTAMPNS}, {SOL_SOCKET, SO_RXQ_OVFL},
                   {IPPROTO_IP, IP_PKTINFO},     {IPPROTO_IP, IP_RECVTTL},
                   {IPPROTO_IP, IP_RECVTOS},     {IPPROTO_IP, IP_ORIGDSTADDR}};
        const std::vector<std::string> loaded = co_await received_with(options);
        EXPECT_TRUE(loaded == expected);
    });
}

/// The room is made smaller by hand, because the options of Linux together do not fill it.
TEST(datagram_series, UDP_10_a_message_without_the_length_of_its_datagrams_is_dropped_and_counted) {
    if (is_simulated()) GTEST_SKIP() << "NOT TESTED: the simulated world knows no such options";
    run_test([]() -> Coro<> {
        Socket socket(AF_INET, SOCK_DGRAM);
        socket.setsockopt(SOL_SOCKET, SO_TIMESTAMP, 1);
        socket.setsockopt(SOL_UDP, UDP_GRO, 1);
        socket.bind(here());
        Datagram client = co_await connected_endpoint(socket.getsockname());
        co_await client.send("whole");
        internal::ReceiveRoom room;
        std::vector<ReceivedFrom> datagrams;
        lowlevel::OperationRequest request = room.request(socket.fileno(), 16, true);
        static_cast<mmsghdr*>(request.buffer)->msg_hdr.msg_controllen = CMSG_LEN(0);
        EXPECT_EQ(lowlevel::perform_now(get_running_loop(), request), 1);
        EXPECT_EQ(room.take(1, datagrams), 1u);
        EXPECT_TRUE(datagrams.empty());
        co_await client.send("whole");
        request = room.request(socket.fileno(), 16, true);
        EXPECT_EQ(lowlevel::perform_now(get_running_loop(), request), 1);
        EXPECT_EQ(room.take(1, datagrams), 0u);
        EXPECT_EQ(datagrams.at(0).data, "whole");
    });
}

}  // namespace
