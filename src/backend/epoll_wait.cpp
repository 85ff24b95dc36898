// The waiting call of the epoll back-end, and how it keeps a deadline.
//
// Two calls are possible. epoll_pwait2(2) takes nanoseconds and came with Linux 5.11. epoll_wait(2)
// takes milliseconds, which is too coarse for timers but exists everywhere. Whether the first one
// works is found out by calling it: a version number would not tell what a sandbox (seccomp,
// gVisor) lets through. The answer is the same for the whole process, so one flag keeps it. Two
// threads that find out at the same time write the same value.
//
// The call is made by its number, because the C library of Debian 12 has a wrapper but older ones
// do not.

#include "backend/epoll_wait.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::lowlevel {
namespace {

using namespace std::chrono_literals;

/// Cleared when the kernel, or a sandbox older than the call, does not know epoll_pwait2 (Linux
/// 5.11).
std::atomic<bool> nanoseconds_work{true};

/// How long to ask the kernel to wait.
///
/// The kernel lets the timer of such a wait run late by a thousandth of its length, so that timers
/// can share interrupts: 10 ms on a wait of ten seconds. (In a process of raised niceness it is a
/// two hundredth.) So a long wait is asked to end a 128th early. The loop then finds nothing due
/// and waits again for the rest, whose error is smaller in the same proportion. Up to half a second
/// the kernel's tolerance is good enough.
Duration time_to_ask(TimePoint deadline) noexcept {
    const Duration left = deadline - Clock::now();
    if (left <= 0ns) return 0ns;
    return left <= 500ms ? left : left - left / 128;
}

/// The count of events, or −1 with errno. If the headers do not know the call, the answer is
/// ENOSYS, as from a kernel that does not know it.
int wait_nanoseconds(int epoll_fd, std::span<epoll_event> events, const Duration* limit) noexcept {
#ifdef SYS_epoll_pwait2
    timespec time{};
    if (limit != nullptr) {
        time.tv_sec = static_cast<time_t>(*limit / 1s);
        time.tv_nsec = static_cast<long>((*limit % 1s).count());
    }
    return static_cast<int>(::syscall(SYS_epoll_pwait2, epoll_fd, events.data(),
                                      static_cast<int>(events.size()),
                                      limit != nullptr ? &time : nullptr, nullptr, 0));
#else
    (void)epoll_fd, (void)events, (void)limit;
    errno = ENOSYS;
    return -1;
#endif
}

/// Rounded up, since a timer may be late but not early. At most a day, because a longer wait may
/// not fit the call's `int`; the loop then simply waits again.
int wait_milliseconds(int epoll_fd, std::span<epoll_event> events, const Duration* limit) noexcept {
    int milliseconds = -1;
    if (limit != nullptr) {
        constexpr std::chrono::milliseconds a_day = 24h;
        milliseconds = static_cast<int>(
            std::min(std::chrono::ceil<std::chrono::milliseconds>(*limit), a_day).count());
    }
    return ::epoll_wait(epoll_fd, events.data(), static_cast<int>(events.size()), milliseconds);
}

int wait_once(int epoll_fd, std::span<epoll_event> events, const Duration* limit) noexcept {
    if (nanoseconds_work.load(std::memory_order_relaxed)) {
        const int count = wait_nanoseconds(epoll_fd, events, limit);
        // EPERM is how some sandboxes refuse a call that they do not know. epoll_wait itself never
        // says it, so it cannot mean anything else here.
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
        nanoseconds_work.store(false, std::memory_order_relaxed);
    }
    return wait_milliseconds(epoll_fd, events, limit);
}

}  // namespace

int wait_for_events(int epoll_fd, std::span<epoll_event> events, TimePoint deadline) noexcept {
    int count = 0;
    if (deadline == internal::never) {
        count = wait_once(epoll_fd, events, nullptr);
    } else {
        const Duration limit = deadline == internal::at_once ? 0ns : time_to_ask(deadline);
        count = wait_once(epoll_fd, events, &limit);
    }
    if (count >= 0 || errno == EINTR) return std::max(count, 0);
    // EBADF, EINVAL: the program has closed the back-end's descriptor. A loop that cannot wait
    // would spin without end, so the process ends and says why.
    std::perror("asyncio: epoll_wait");
    std::abort();
}

}  // namespace asyncio::lowlevel
