// Goal: an answer that is of no use (POLLERR or POLLHUP stays up, and the call would block) does
// not turn a wait into a loop, and does not hide the answer that comes after it. Method: a datagram
// socket whose error queue holds what nobody takes out. The number of waits in a span of time
// stands for the processor time they cost.

#include "conformance/harness.h"

#include <cerrno>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::lowlevel::conformance {
namespace {

Fd bound_socket(sockaddr_in& address) {
    Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    return fd;
}

/// A socket that shows POLLERR for good, and has nothing to read.
class Troubled {
public:
    Troubled() : fd(bound_socket(address_)) {
        const int one = 1;
        EXPECT_EQ(::setsockopt(fd.get(), SOL_IP, IP_RECVERR, &one, sizeof one), 0);
        sockaddr_in nobody;
        {
            const Fd gone = bound_socket(nobody);
        }
        EXPECT_EQ(
            ::sendto(fd.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&nobody), sizeof nobody), 1);
        pollfd asked{fd.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&asked, 1, 1000), 1) << "the answer of the network";
        // The error itself is told once; the entry in the queue remains.
        char byte = 0;
        while (::recv(fd.get(), &byte, 1, 0) < 0 && errno != EAGAIN) {
        }
        asked.revents = 0;
        EXPECT_EQ(::poll(&asked, 1, 0), 1);
        EXPECT_EQ(asked.revents, POLLERR);
    }

    void receive_something() {
        sockaddr_in other;
        const Fd sender = bound_socket(other);
        EXPECT_EQ(::sendto(sender.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&address_),
                           sizeof address_),
                  1);
    }

private:
    sockaddr_in address_{};

public:
    Fd fd;
};

TEST_P(Conformance, an_error_queue_does_not_make_a_wait_a_loop) {
    Troubled socket;
    char byte = 0;
    Read reading(socket.fd.get(), std::span(&byte, 1));
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(driver().submit(reading));
        EXPECT_LT(driver().wait_out(backend().now() + 30ms), 100);
        ASSERT_TRUE(driver().is_in_flight(reading)) << reading.result;
        socket.receive_something();
        driver().finish(reading);
        EXPECT_EQ(reading.result, 1);
        EXPECT_EQ(byte, 'x');
    }
    // Now the socket is watched for nothing.
    EXPECT_LT(driver().wait_out(backend().now() + 10ms), 50);
}

TEST_P(Conformance, a_read_on_a_descriptor_in_trouble_can_be_cancelled) {
    Troubled socket;
    char byte = 0;
    Read reading(socket.fd.get(), std::span(&byte, 1));
    for (int round = 0; round < 20; ++round) {
        ASSERT_TRUE(driver().submit(reading));
        for (int waits = 0; waits < round % 4; ++waits) driver().wait(internal::at_once);
        if (round % 2 == 0) socket.receive_something();
        driver().cancel(reading);
        driver().finish(reading);
        EXPECT_TRUE(reading.result == -ECANCELED || reading.result == 1) << reading.result;
        while (::recv(socket.fd.get(), &byte, 1, 0) > 0) {
        }
    }
    const Anchor anchor(driver());
    socket.receive_something();
    EXPECT_LT(driver().wait_out(backend().now() + 10ms), 50) << "watched for nobody";
}

TEST_P(Conformance, two_who_wait_on_it_are_both_served) {
    Troubled socket;
    char bytes[2] = {};
    Read one(socket.fd.get(), std::span(&bytes[0], 1));
    Read other(socket.fd.get(), std::span(&bytes[1], 1));
    ASSERT_TRUE(driver().submit(one));
    driver().wait_out(soon());
    ASSERT_TRUE(driver().submit(other));
    EXPECT_LT(driver().wait_out(backend().now() + 10ms), 50);
    socket.receive_something();
    driver().wait_out(soon());
    socket.receive_something();
    driver().finish_all();
    EXPECT_EQ(one.result + other.result, 2);
}

// Events for nobody would end each of these waits early.
TEST_P(OnKernel, when_nobody_waits_on_it_any_more_its_changes_end_no_wait) {
    for (const bool cancelled : {false, true}) {
        Troubled socket;
        char byte = 0;
        Read reading(socket.fd.get(), std::span(&byte, 1));
        ASSERT_TRUE(driver().submit(reading));
        driver().wait_out(soon());
        if (cancelled) {
            driver().cancel(reading);
        } else {
            socket.receive_something();
        }
        driver().finish(reading);
        // Its number is gone then, and the open file lives on, as it does in a child.
        const Fd kept(::dup(socket.fd.get()));
        socket.fd.reset();
        const Anchor anchor(driver());
        int waits = 0;
        for (int round = 0; round < 40; ++round) {
            socket.receive_something();
            waits += driver().wait_out(soon());
        }
        EXPECT_LT(waits, 60) << "cancelled: " << cancelled;
    }
}

// The read that would block is not the only one on its descriptor, and a poll is told.
TEST_P(Conformance, a_poll_is_told_of_the_trouble) {
    Troubled socket;
    Poll poll(socket.fd.get(), POLLIN);
    EXPECT_EQ(driver().run(poll), POLLERR);
}

}  // namespace
}  // namespace asyncio::lowlevel::conformance
