// Goal: an accept that fails because of one connection takes the next one in the same round, and
// tells nothing.
// Method: a function accept4 of this program stands before the one of the C library, and fails as
// often as a test wants. The kernel of a test machine has no such errors to offer.

#include "net/net_help.h"

#include <cerrno>
#include <vector>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

/// The errors of the next accepts of this thread, the last one first.
thread_local std::vector<int> errors_to_come;

}  // namespace

extern "C" int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
    if (errors_to_come.empty())
        return static_cast<int>(::syscall(SYS_accept4, fd, address, length, flags));
    errno = errors_to_come.back();
    errors_to_come.pop_back();
    return -1;
}

namespace {

using namespace net_test;

TEST(accept_errors, NET_22_an_error_of_one_connection_is_skipped) {
    if (is_simulated()) GTEST_SKIP() << "NOT TESTED: the simulated world calls no accept4";
    run_test([]() -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::loopback_v4(0));
        listener.listen();
        for (const int error : {ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                                EHOSTUNREACH, ENETUNREACH, EINTR}) {
            Socket client(AF_INET);
            co_await client.connect(listener.getsockname());
            errors_to_come = {error, error};
            const Accepted accepted = co_await listener.accept();
            EXPECT_EQ(accepted.address, client.getsockname());
            EXPECT_TRUE(errors_to_come.empty()) << error;
        }
    });
}

TEST(accept_errors, NET_22_any_other_error_is_told) {
    if (is_simulated()) GTEST_SKIP() << "NOT TESTED: the simulated world calls no accept4";
    run_test([]() -> Coro<> {
        Socket listener(AF_INET);
        listener.bind(Address::loopback_v4(0));
        listener.listen();
        Socket client(AF_INET);
        co_await client.connect(listener.getsockname());
        for (const int error : {EMFILE, EPERM, ENOBUFS}) {
            errors_to_come = {error};
            const int told = co_await error_number(listener.accept());
            EXPECT_EQ(told, error);
        }
        const Accepted accepted = co_await listener.accept();
        EXPECT_EQ(accepted.address, client.getsockname());
    });
}

}  // namespace
