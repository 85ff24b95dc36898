#pragma once
// How another thread, or a signal handler, ends a back-end's wait: an eventfd that is never read.
//
// Both back-ends watch the eventfd by edge (EPOLLET; a multishot poll in the ring). Every write is
// an event of its own, so the eventfd need not be emptied, which would be a system call per
// wake-up. Its counter would take 2^64 writes to fill.
//
// Many wake-ups in a row cost one write. `announced_` says that an event is on its way which no
// wait has returned yet:
//   false    no `wake` since a wait last returned for one
//   true     a waker has set the flag, and has written or is about to write; the wait that sees the
//            event has not returned yet, and the loop after it sees whatever happened before this
//            `wake`
//
// `lower` runs when the event was seen, before the wait returns. A `wake` before `lower` is
// answered by this return; a `wake` after it finds `false` and writes. A race is lost on purpose: a
// waker that has set the flag and not yet written can be answered by an earlier writer's event. Its
// own write then ends the next wait early, with nothing, which the contract allows. No order of
// steps loses a wake-up.
//
// Thread-safety: `wake` from any thread and any signal handler; the rest on the loop's thread.

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/fd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include <sys/eventfd.h>
#include <unistd.h>

namespace asyncio::lowlevel {

class WakeEvent {
public:
    WakeEvent() : eventfd_(clear_of_standard(Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)))) {
        if (!eventfd_) throw OsError(errno, "eventfd");
    }

    int fd() const noexcept { return eventfd_.get(); }

    void wake() noexcept {
        if (announced_.exchange(true, std::memory_order_acq_rel)) return;
        // A signal handler must not change the errno of the code that it interrupted.
        const int saved_errno = errno;
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(eventfd_.get(), &one, sizeof one);
        errno = saved_errno;
    }

    /// An exchange and not a store: only by reading what a waker wrote does this thread also see
    /// the waker's earlier writes.
    void lower() noexcept { announced_.exchange(false, std::memory_order_acq_rel); }

private:
    Fd eventfd_;
    std::atomic<bool> announced_{false};
    static_assert(std::atomic<bool>::is_always_lock_free,
                  "a signal handler uses the flag, so the flag must be lock-free");
};

}  // namespace asyncio::lowlevel
