#include "backend/attempt.h"

#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace asyncio::lowlevel {
namespace {

/// The result of a system call as the contract wants it. Bounded by the signals that arrive.
template <class Call>
int retried(Call call) noexcept {
    for (;;) {
        const auto result = call();
        // Linux moves 2 GiB minus a page per call at the most, so a count always fits an int.
        if (result >= 0) return static_cast<int>(result);
        if (errno != EINTR) return -errno;
    }
}

int attempt_poll(const Operation& operation) noexcept {
    // poll(2) skips negative numbers, which would make a wait without end of a mistake.
    if (operation.fd < 0) return -EBADF;
    pollfd asked{operation.fd, operation.events, 0};
    const int ready = retried([&] { return ::poll(&asked, 1, 0); });
    if (ready < 0) return ready;
    if (ready == 0) return would_block;
    return (asked.revents & POLLNVAL) != 0 ? -EBADF : asked.revents;
}

/// Not retried: when close(2) says EINTR, Linux has closed the descriptor all the same, and the
/// number may already be somebody else's.
int attempt_close(int fd) noexcept {
    if (::close(fd) == 0 || errno == EINTR) return 0;
    return -errno;
}

}  // namespace

int attempt(const Operation& operation) noexcept {
    switch (operation.kind) {
        case OperationKind::read:
            return retried([&] { return ::read(operation.fd, operation.buffer, operation.size); });
        case OperationKind::write:
            return retried([&] { return ::write(operation.fd, operation.buffer, operation.size); });
        case OperationKind::poll: return attempt_poll(operation);
        case OperationKind::pipe:
            return retried([&] {
                return ::pipe2(static_cast<int*>(operation.buffer), O_NONBLOCK | O_CLOEXEC);
            });
        case OperationKind::close: return attempt_close(operation.fd);
    }
    return -EINVAL;
}

bool attempt_may_block(const Operation& operation) noexcept {
    if (operation.kind != OperationKind::read && operation.kind != OperationKind::write)
        return false;
    const int flags = ::fcntl(operation.fd, F_GETFL);
    // What is no descriptor at all does not block: the attempt names the error.
    return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

void ignore_sigpipe() noexcept {
    struct sigaction current{};
    if (::sigaction(SIGPIPE, nullptr, &current) != 0) return;
    if ((current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == SIG_DFL) {
        ::signal(SIGPIPE, SIG_IGN);
    }
}

}  // namespace asyncio::lowlevel
