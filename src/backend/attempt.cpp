#include "backend/attempt.h"

#include <asyncio/lowlevel/fd.h>

#include <algorithm>
#include <csignal>
#include <new>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
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

/// A file or a folder has nothing to report but that it can be read and written. epoll refuses to
/// watch one; the ring and poll(2) would wait for ever.
bool never_changes(int fd) noexcept {
    struct stat about{};
    return ::fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
}

int attempt_poll(const Operation& operation) noexcept {
    // poll(2) skips negative numbers, which would make a wait without end of a mistake.
    if (operation.fd < 0) return -EBADF;
    pollfd asked{operation.fd, operation.events, 0};
    const int ready = retried([&] { return ::poll(&asked, 1, 0); });
    if (ready < 0) return ready;
    if (ready == 0) return never_changes(operation.fd) ? -EPERM : would_block;
    return (asked.revents & POLLNVAL) != 0 ? -EBADF : asked.revents;
}

int attempt_read(Operation& operation, Scratch& scratch) noexcept {
    std::span<char> room(static_cast<char*>(operation.buffer), operation.size);
    if (operation.receive != nullptr) {
        room = scratch.take(operation.size);
        if (room.data() == nullptr) return -ENOMEM;
    }
    const int count = retried([&] { return ::read(operation.fd, room.data(), room.size()); });
    if (operation.receive != nullptr && count > 0)
        operation.receive(operation, room.first(static_cast<std::size_t>(count)));
    return count;
}

int attempt_pipe(const Operation& operation) noexcept {
    int numbers[2];
    if (::pipe2(numbers, O_NONBLOCK | O_CLOEXEC) != 0) return -errno;
    Fd reader = clear_of_standard(Fd(numbers[0]));
    Fd writer = clear_of_standard(Fd(numbers[1]));
    if (!reader || !writer) return -EMFILE;
    auto* ends = static_cast<int*>(operation.buffer);
    ends[0] = reader.release();
    ends[1] = writer.release();
    return 0;
}

/// Not retried: when close(2) says EINTR, Linux has closed the descriptor all the same, and the
/// number may already be somebody else's.
int attempt_close(int fd) noexcept {
    if (::close(fd) == 0 || errno == EINTR) return 0;
    return -errno;
}

}  // namespace

std::span<char> Scratch::take(std::size_t wanted) noexcept {
    if (!memory_) memory_.reset(new (std::nothrow) char[size_bytes]);
    if (!memory_) return {};
    return {memory_.get(), std::min(wanted, size_bytes)};
}

int attempt(Operation& operation, Scratch& scratch) noexcept {
    switch (operation.kind) {
        case OperationKind::read: return attempt_read(operation, scratch);
        case OperationKind::write:
            return retried([&] { return ::write(operation.fd, operation.buffer, operation.size); });
        case OperationKind::poll: return attempt_poll(operation);
        case OperationKind::pipe: return attempt_pipe(operation);
        case OperationKind::close: return attempt_close(operation.fd);
    }
    return -EINVAL;
}

bool attempt_may_block(const Operation& operation) noexcept {
    if (operation.kind != OperationKind::read && operation.kind != OperationKind::write)
        return false;
    if (operation.blocking != Blocking::unknown) return operation.blocking == Blocking::possible;
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
