// What a back-end remembers of owned sockets, and that it is never wrong.
//
// A flag that is wrong in one direction costs a call. Wrong in the other direction it makes an
// operation wait for ever. So each test brings the flags into a state, changes the socket, and
// expects that the next operation ends.

#include "conformance/harness.h"

#include <cerrno>
#include <deque>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

/// An operation that receives, in flight or not.
struct Receiving : Asked {
    explicit Receiving(int fd, std::size_t size = 100)
        : Asked({.kind = OperationKind::recv, .fd = fd, .size = size}), bytes(size, ' ') {
        buffer = bytes.data();
    }
    std::string text() const { return bytes.substr(0, static_cast<std::size_t>(result)); }
    std::string bytes;
};

TEST_P(OwnedSockets, a_receive_that_waits_gets_what_comes_later_again_and_again) {
    const auto [client, server] = connection();
    for (int round = 0; round < 20; ++round) {
        Receiving receiving(server);
        ASSERT_TRUE(driver().submit(receiving));
        driver().wait_out(soon());
        EXPECT_EQ(send(client, "abc"), 3);
        driver().finish(receiving);
        EXPECT_EQ(receiving.text(), "abc");
    }
}

TEST_P(OwnedSockets,
       what_came_before_the_receive_is_there_after_a_receive_that_emptied_the_socket) {
    const auto [client, server] = connection();
    Receiving first(server);
    ASSERT_TRUE(driver().submit(first));
    EXPECT_EQ(send(client, "one"), 3);
    driver().finish(first);
    EXPECT_EQ(send(client, "two"), 3);
    EXPECT_EQ(recv(server), "two");
}

TEST_P(OwnedSockets, a_part_of_what_came_leaves_the_rest) {
    const auto [client, server] = connection();
    Receiving first(server, 2);
    ASSERT_TRUE(driver().submit(first));
    EXPECT_EQ(send(client, "abcde"), 5);
    driver().finish(first);
    EXPECT_EQ(first.text(), "ab");
    EXPECT_EQ(recv(server), "cde");
}

TEST_P(OwnedSockets, the_end_behind_the_last_bytes_is_seen) {
    for (const bool late : {false, true}) {
        const auto [client, server] = connection();
        Receiving first(server);
        ASSERT_TRUE(driver().submit(first));
        EXPECT_EQ(send(client, "last"), 4);
        if (!late) {
            EXPECT_EQ(close(client), 0);
        }
        driver().finish(first);
        EXPECT_EQ(first.text(), "last");
        if (late) {
            EXPECT_EQ(close(client), 0);
        }
        EXPECT_EQ(recv(server), "");
        EXPECT_EQ(recv(server), "");
    }
}

TEST_P(OwnedSockets, a_peek_leaves_the_bytes_for_the_next_receive) {
    const auto [client, server] = connection();
    Receiving first(server);
    first.flags = MSG_PEEK;
    ASSERT_TRUE(driver().submit(first));
    EXPECT_EQ(send(client, "abc"), 3);
    driver().finish(first);
    EXPECT_EQ(recv(server), "abc");
}

TEST_P(OwnedSockets, a_cancelled_receive_leaves_the_bytes_for_the_next) {
    const auto [client, server] = connection();
    Receiving first(server);
    ASSERT_TRUE(driver().submit(first));
    driver().wait_out(soon());
    driver().cancel(first);
    EXPECT_EQ(send(client, "abc"), 3);
    driver().finish(first);
    EXPECT_EQ(first.result, -ECANCELED);
    EXPECT_EQ(recv(server), "abc");
}

TEST_P(OwnedSockets, polls_that_do_not_say_it_work_beside_owned_operations) {
    const auto [client, server] = connection();
    Poll before(server, POLLIN);
    ASSERT_TRUE(driver().submit(before));
    Receiving receiving(server);
    ASSERT_TRUE(driver().submit(receiving));
    Poll after(server, POLLIN);
    ASSERT_TRUE(driver().submit(after));
    EXPECT_EQ(send(client, "abc"), 3);
    driver().finish_all();
    EXPECT_EQ(receiving.text(), "abc");
    EXPECT_NE(before.result & POLLIN, 0);
    EXPECT_NE(after.result & POLLIN, 0);
}

TEST_P(OwnedSockets, a_number_that_is_used_again_is_another_socket) {
    for (int round = 0; round < 20; ++round) {
        const auto [client, server] = connection();
        Receiving receiving(server);
        ASSERT_TRUE(driver().submit(receiving));
        if (round % 2 == 0) driver().wait_out(soon());
        EXPECT_EQ(send(client, "abc"), 3);
        driver().finish(receiving);
        EXPECT_EQ(receiving.text(), "abc");
        EXPECT_EQ(close(server), 0);
        EXPECT_EQ(close(client), 0);
    }
}

TEST_P(OwnedSockets, numbers_that_are_used_again_before_the_loop_waits_disturb_no_other) {
    const auto [one_client, one] = connection();
    const auto [other_client, other] = connection();
    std::deque<Receiving> ended;
    SocketAddress address;
    const auto receive_and_close = [&] {
        const int socket = bound_datagram_socket(address);
        EXPECT_TRUE(driver().submit(ended.emplace_back(socket)));
        EXPECT_EQ(close(socket), 0);
    };
    receive_and_close();
    Receiving first(one);
    ASSERT_TRUE(driver().submit(first));
    receive_and_close();
    Receiving second(other);
    ASSERT_TRUE(driver().submit(second));
    receive_and_close();
    EXPECT_EQ(send(one_client, "one"), 3);
    EXPECT_EQ(send(other_client, "other"), 5);
    driver().finish(first);
    driver().finish(second);
    EXPECT_EQ(first.text(), "one");
    EXPECT_EQ(second.text(), "other");
    for (Receiving& receiving : ended) {
        driver().finish(receiving);
        EXPECT_EQ(receiving.result, -ECANCELED);
    }
}

TEST_P(OwnedSockets, a_socket_that_was_disowned_may_be_closed_by_a_system_call) {
    for (int round = 0; round < 3; ++round) {
        const auto [client, server] = connection();
        Receiving first(server);
        ASSERT_TRUE(driver().submit(first));
        driver().wait_out(soon());
        driver().cancel(first);
        driver().finish(first);
        backend().disown(server);
        std::erase(open_, server);
        ::close(server);
        EXPECT_EQ(recv(client), "");
        EXPECT_EQ(close(client), 0);
    }
}

TEST_P(OwnedSockets, disowning_ends_what_is_in_flight) {
    const auto [client, server] = connection();
    Receiving receiving(server);
    ASSERT_TRUE(driver().submit(receiving));
    backend().disown(server);
    driver().finish(receiving);
    EXPECT_EQ(receiving.result, -ECANCELED);
}

TEST_P(OwnedSockets, a_wait_goes_on_in_another_thread) {
    const auto [client, server] = connection();
    Receiving receiving(server);
    ASSERT_TRUE(driver().submit(receiving));
    driver().wait_out(soon());
    backend().hand_over();
    std::thread([&, from = client] {
        EXPECT_EQ(send(from, "abc"), 3);
        driver().finish(receiving);
        backend().hand_over();
    }).join();
    EXPECT_EQ(receiving.text(), "abc");
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
