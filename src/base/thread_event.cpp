#include <asyncio/internal/thread_event.h>

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

bool ThreadEvent::wait_until(TimePoint deadline) noexcept {
    const Duration since_zero = deadline.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_zero);
    const timespec when{static_cast<time_t>(seconds.count()),
                        static_cast<long>((since_zero - seconds).count())};
    // Ends when the event is set or the deadline has passed; the kernel may wake early.
    for (;;) {
        std::uint32_t state = unset;
        if (!state_.compare_exchange_strong(state, awaited, std::memory_order_acquire) &&
            state == was_set) {
            tell_acquire(state_);
            return true;
        }
        if (deadline != never && Clock::now() >= deadline) return is_set();
        // The clock of this call is the steady one, which is CLOCK_MONOTONIC.
        ::syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, awaited,
                  deadline == never ? nullptr : &when, nullptr, FUTEX_BITSET_MATCH_ANY);
    }
}

}  // namespace asyncio::internal
