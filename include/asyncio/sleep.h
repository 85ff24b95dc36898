#pragma once
// `sleep`: waiting for time to pass.
//
// The alarm lies in the awaiter, and so in the frame of the coroutine that sleeps. A sleep
// allocates nothing, and a million sleeping tasks cost a million entries in the loop's heap of
// timers.
//
// Thread-safety: loop thread only.

#include <asyncio/delay.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/waiter.h>

#include <memory>

namespace asyncio {

namespace internal {

/// The awaiter of `sleep`.
class SleepAwaiter : public lowlevel::Waiter {
public:
    explicit SleepAwaiter(Duration delay) noexcept : delay_(delay) {}
    /// Does not destroy the alarm, because a sleep that did not wait never made one. An alarm that
    /// was made has rung or was stopped by now: a parked task is resumed before its frame is
    /// destroyed.
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
    /// The alarm makes the task ready. The timer could make the task ready itself, but then the
    /// task would resume in the iteration in which its timer expires. In Python the timer sets a
    /// future, and the task resumes one iteration later: until then the sleep can be cancelled, and
    /// other callbacks of the same iteration run first.
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

    /// A cancellation stops the alarm. If the alarm has rung, the task is in the ready queue, and
    /// the request comes too late.
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
        const bool was_set = static_cast<SleepAwaiter&>(waiter).alarm_.stop_alarm();
        return was_set ? Abort::removed : Abort::too_late;
    }

    Duration delay_;
    /// Constructed only when the sleep waits. The most frequent sleep is `sleep(0s)`, which lets
    /// other tasks run and needs no timer.
    union {
        WakeUp alarm_;
    };
};

}  // namespace internal

/// The return type of `sleep`. Eight bytes: `Awaiting` makes the awaiter, which is larger, in the
/// frame of the coroutine that awaits.
using Sleep = lowlevel::Awaiting<internal::SleepAwaiter, Duration>;

namespace no_adl {

/// Suspends the calling task for `delay`, measured on the loop's monotonic clock.
///
/// A zero or negative `delay` lets every other ready task run once and returns. The task never
/// wakes early. On a busy loop it wakes later, because the iteration in progress is finished first.
/// A delay beyond 292 years never ends.
/// Throws: RuntimeError if it is not awaited in a task; `std::invalid_argument` if `delay` is not a
/// number (NaN).
/// Cancellation: always a cancellation point, and always yields. When cancelled, the timer is gone
/// and nothing else has changed.
/// Thread-safety: loop thread only. Cost: O(log timers), no allocation.
/// Python: `asyncio.sleep`, without its `result` argument.
inline Sleep sleep(Delay delay) noexcept { return Sleep(delay); }

// Refuses a bare number. Where both this namespace and <unistd.h> are visible, `sleep(1);` would
// otherwise call the system's `sleep(unsigned)`, which stops the whole program. For an `int` or a
// `double` this template is the better match. For an `unsigned` the system's function matches
// exactly; the second declaration makes that call ambiguous, and compilers show the line of each
// candidate.
template <internal::BareNumber Number>
Sleep sleep(Number) {
    static_assert(internal::never_true<Number>, "a time needs a unit: sleep(1s)");
    return Sleep(Delay());
}
Sleep sleep(unsigned seconds) = delete;  // a time needs a unit: sleep(1s)

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
