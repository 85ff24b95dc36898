#pragma once
// How another thread, or a signal handler, ends a back-end's wait: an eventfd that is never read.
//
// Both back-ends watch it by edge (EPOLLET; a multishot poll in the ring): every write is an event
// of its own, so there is no need to empty it, which would be a system call per wake-up. Its
// counter would take 2^64 writes to fill.
//
// A storm of wake-ups costs one write. `announced_` says that an event is on its way which no wait
// has returned yet:
//   false    nobody has woken the back-end since a wait last returned for it
//   true     somebody has, or is between setting the flag and writing; the wait that sees the event
//            is still to return, and whatever happened before this `wake` is seen by the loop after
//            it
//
// `lower` runs when the event was seen, before the wait returns. A `wake` before it is answered by
// that very return; a `wake` after it finds `false` and writes. One race is lost on purpose: a
// waker that has set the flag but not yet written can be answered by an earlier writer's event; its
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
        // A signal handler must not change the errno of what it interrupted.
        const int saved_errno = errno;
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(eventfd_.get(), &one, sizeof one);
        errno = saved_errno;
    }

    /// An exchange and not a store: reading what the wakers wrote is what makes their earlier
    /// writes visible here.
    void lower() noexcept { announced_.exchange(false, std::memory_order_acq_rel); }

private:
    Fd eventfd_;
    std::atomic<bool> announced_{false};
    static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch the flag");
};

}  // namespace asyncio::lowlevel
