#pragma once
// Waiting for time to pass.

#include <asyncio/delay.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/waiter.h>

#include <memory>

namespace asyncio {

namespace internal {

class SleepAwaiter : public lowlevel::Waiter {
public:
    explicit SleepAwaiter(Duration delay) noexcept : delay_(delay) {}
    /// Leaves the alarm alone, which may never have been made. If it was, it has rung or was
    /// stopped: a parked task is resumed before its frame goes.
    ~SleepAwaiter() {}

    bool await_ready() const noexcept { return false; }

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        TaskCore& sleeper = task("asyncio::sleep()");
        if (delay_ <= Duration::zero()) return yield(coroutine);
        std::construct_at(&alarm_, sleeper)->ring_after(delay_);
        park(coroutine, &abort);
    }

    void await_resume() { resumed(); }

private:
    /// Makes the sleeper ready. The timer could do that itself, but then the task would resume in
    /// the iteration in which the timer expires. In Python the timer sets a future, and that takes
    /// one iteration more: until then the sleep can still be cancelled, and other callbacks of the
    /// moment come first.
    class WakeUp : public lowlevel::Alarm<WakeUp> {
    public:
        explicit WakeUp(TaskCore& sleeper) noexcept : Alarm(*here.loop), sleeper_(sleeper) {
            touches_next(&sleeper);
        }
        using Alarm::ring_after;
        using Alarm::stop_alarm;

    private:
        friend Alarm;
        void alarm_rings() noexcept { alarm_loop().schedule(sleeper_); }

        TaskCore& sleeper_;
    };

    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
        const bool was_set = static_cast<SleepAwaiter&>(waiter).alarm_.stop_alarm();
        return was_set ? Abort::removed : Abort::too_late;
    }

    Duration delay_;
    /// Made for a wait only: the most frequent sleep is that of zero, which gives others a turn.
    union {
        WakeUp alarm_;
    };
};

}  // namespace internal

/// What `sleep` returns.
using Sleep = lowlevel::Awaiting<internal::SleepAwaiter, Duration>;

/// Suspends the calling task for `delay`, measured on the loop's monotonic clock.
///
/// A zero or negative `delay` lets every other ready task run once and returns. The task wakes no
/// earlier than asked and, on a busy loop, later: the wake-up waits for the batch in progress. A
/// delay beyond 292 years never ends.
/// Throws: RuntimeError if it is not awaited in a task; `std::invalid_argument` if the delay is not
/// a number.
/// Cancellation: always yields; when cancelled the timer is gone and nothing else has changed.
/// Thread-safety: loop thread only. Cost: O(log timers), no allocation.
/// Python: `asyncio.sleep`, without its `result` argument.
inline Sleep sleep(Delay delay) noexcept { return Sleep(delay); }

// A bare number. `sleep(1);` where both this namespace and <unistd.h> are open would otherwise be
// the system's `sleep(unsigned)`, which stops the whole program. For an `int` or a `double` a
// template fits better than that; for an `unsigned` nothing fits better, but the call becomes
// ambiguous, and compilers show the line of each candidate.
template <internal::BareNumber Number>
Sleep sleep(Number) {
    static_assert(internal::never_true<Number>, "a time needs a unit: sleep(1s)");
    return Sleep(Delay());
}
Sleep sleep(unsigned seconds) = delete;  // a time needs a unit: sleep(1s)

}  // namespace asyncio
