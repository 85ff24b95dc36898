// The futex protocol of `ThreadEvent`.
//
// The word has three states (thread_event.h), and the kernel compares it for the waiting thread. A
// waiter first announces itself: it changes `unset` to `awaited`. It then asks the kernel to sleep
// as long as the word is `awaited`. The setter exchanges the word for `was_set`, and calls the
// kernel only if it found `awaited`.
//
// No wake-up is lost. If the setter comes before the announcement, the waiter finds `was_set`. If
// it comes after the announcement and before the sleep, the kernel finds a changed word and returns
// at once. If it comes later, it has found `awaited` and wakes. Several waiters may announce
// themselves, and all are woken.
//
// The setter touches the event no more after its exchange: the waiter may be running by then and
// may have destroyed it. The system call that follows names only an address. If other memory lies
// there by now, at worst a thread that sleeps on that address wakes for nothing, and all users of
// futexes look again.

#include <asyncio/internal/base/thread_event.h>

#include "base/thread_sanitizer.h"

#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::internal {

void ThreadEvent::set() noexcept {
    tell_release(state_);
    if (state_.exchange(was_set, std::memory_order_acq_rel) != awaited) return;
    ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// The deadline is absolute, so a wait that is interrupted and repeated does not become longer.
/// FUTEX_WAIT_BITSET is used because the plain FUTEX_WAIT takes relative times only.
bool ThreadEvent::wait_until(TimePoint deadline) noexcept {
    const Duration since_zero = deadline.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_zero);
    const timespec when{static_cast<time_t>(seconds.count()),
                        static_cast<long>((since_zero - seconds).count())};
    // Ends when the event is set or the deadline has passed. The kernel may wake early: by a
    // signal, or by a wake-up for another user of this address.
    for (;;) {
        std::uint32_t state = unset;
        if (!state_.compare_exchange_strong(state, awaited, std::memory_order_acquire) &&
            state == was_set) {
            tell_acquire(state_);
            return true;
        }
        if (deadline != never && Clock::now() >= deadline) return is_set();
        // Without FUTEX_CLOCK_REALTIME the kernel measures by CLOCK_MONOTONIC, which is the steady
        // clock.
        ::syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, awaited,
                  deadline == never ? nullptr : &when, nullptr, FUTEX_BITSET_MATCH_ANY);
    }
}

}  // namespace asyncio::internal
