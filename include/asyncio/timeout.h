#pragma once
// Time limits: `timeout`, `timeout_at`, `wait_for`, `move_on_after`, `move_on_at`.
//
// A limit is a request to cancel the task that runs the body. The loop makes the request when the
// deadline comes; the scope takes it back when the body has ended. The body runs in the calling
// task and not in a task of its own. So `current_task()` and the context variables stay the same,
// and a limit that does not expire costs one clock read, one timer, and no allocation besides the
// frames of the scope and of the body.
//
// How a scope knows its own request: it counts (`internal/core/own_request.h`). If only this limit
// has asked since the scope began, the CancelledError becomes a TimeoutError. Otherwise the
// CancelledError continues, to the scope that made the other request or out of the task. So limits
// nest, and a cancellation from outside wins when it comes at the same moment as a deadline.
//
//    entered ──(deadline)──► expiring ──(body has ended)──► expired
//       └──────(body has ended)──► left
//
// In the state `expiring` the request has been made and the body is unwinding. The unwinding may
// take any time: a limit cannot stop code that does not wait, and does not cut a cleanup short.
//
// The limit is an alarm of the scope (`lowlevel::Alarm`), and not a step of the task. The alarm
// rings before or after the task's step in the same iteration, in the order of the ready queue, as
// the callback of `loop.call_at` does in Python. A deadline that has passed already is scheduled in
// the same way, so a body always begins, and is cancelled at its first wait. A scope that is
// dropped before its end stops the alarm in its destructor.
//
// A cleanup under a mask (`finally_`, `AsyncExitStack`) may contain limits of its own. Each limit
// remembers the mask under which it began. Only masks that came later, inside the body, hold its
// request back.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/internal/core/own_request.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/task.h>

#include <optional>

namespace asyncio {

class Timeout;

namespace internal {

/// The result of `move_on_after`: a `bool` for a body without a value (whether it was cut short),
/// an optional for a body with one.
template <class T>
struct MovedOn {
    static_assert(!std::is_reference_v<T>,
                  "the body must not return a reference: a body that is cut short has no value");
    using type = std::optional<T>;
};
template <>
struct MovedOn<void> {
    using type = bool;
};

template <class Body>
Coro<BodyResult<Body, Timeout>> timeout_scope(std::optional<Duration> delay,
                                              std::optional<TimePoint> when, Body body);
template <class Body>
Coro<typename MovedOn<BodyResult<Body, Timeout>>::type>
move_on_scope(std::optional<Duration> delay, std::optional<TimePoint> when, Body body);
template <class Given>
Coro<AwaitResult<Given>> wait_for_scope(Given awaitable, Duration delay);

}  // namespace internal

/// A limit that is running. The body of `timeout` may take it by reference. Only the functions of
/// this file make one, because a limit must be ended by the scope that began it.
/// Python: `asyncio.Timeout`.
class Timeout : lowlevel::Alarm<Timeout> {
public:
    /// The deadline, on the loop's clock; `std::nullopt` if there is none.
    std::optional<TimePoint> when() const noexcept { return when_; }
    /// Moves the deadline; `std::nullopt` takes it away. May be called from any task of the loop. A
    /// deadline that has passed takes effect in the next iteration.
    /// Throws: RuntimeError if the scope is over or has expired.
    void reschedule(std::optional<Deadline> when);
    /// Whether the limit was reached before the body ended.
    bool expired() const noexcept { return state_ == State::expiring || state_ == State::expired; }

private:
    friend Alarm;
    template <class Body>
    friend Coro<internal::BodyResult<Body, Timeout>>
    internal::timeout_scope(std::optional<Duration> delay, std::optional<TimePoint> when,
                            Body body);
    template <class Body>
    friend Coro<typename internal::MovedOn<internal::BodyResult<Body, Timeout>>::type>
    internal::move_on_scope(std::optional<Duration> delay, std::optional<TimePoint> when,
                            Body body);
    template <class Given>
    friend Coro<internal::AwaitResult<Given>> internal::wait_for_scope(Given awaitable,
                                                                       Duration delay);

    enum class State : std::uint8_t { entered, expiring, expired, left };

    /// Begins a limit in `task`, which is running, at the time `now`. The caller has read the clock
    /// already; a second read would be the most expensive part of a limit that does not expire.
    Timeout(internal::TaskCore& task, TimePoint now, std::optional<TimePoint> when);
    /// The body has ended with `outcome`. Ends the scope, and replaces a CancelledError by a
    /// TimeoutError if only this limit caused it.
    template <class T>
    void leave(Outcome<T>& outcome) {
        if (left_in_time()) [[likely]]
            return;
        if (leave_and_decide(outcome.cancelled())) {
            outcome.fail(std::make_exception_ptr(TimeoutError()));
        } else if (outcome.cancelled()) {
            if (std::exception_ptr theirs = cancellation_of_others())
                outcome.fail(std::move(theirs));
        }
    }
    /// Ends the scope and leaves the outcome to the caller. Returns true if the body was cancelled,
    /// and only by this limit.
    bool leave_and_decide(bool body_cancelled);
    /// To be called after `leave_and_decide`. The limit's request has ended the body, and another
    /// request may have come later that the body was not told of. Returns the CancelledError of
    /// that request, with its own reason, because this error leaves the scope; null if there is
    /// none.
    std::exception_ptr cancellation_of_others();
    /// The usual case: the limit has not been reached. Ends the scope and returns true; the outcome
    /// of the body stands.
    bool left_in_time() noexcept {
        if (state_ != State::entered) return false;
        stop_alarm();
        state_ = State::left;
        return true;
    }

    /// The deadline has come: cancels the task.
    void alarm_rings() noexcept;
    /// Sets the alarm for `when_`, or for the next iteration if that has passed.
    void set_deadline(TimePoint now);

    std::optional<TimePoint> when_;
    internal::OwnRequest request_;
    State state_ = State::entered;
};

namespace internal {

template <class Body>
Coro<BodyResult<Body, Timeout>> timeout_scope(std::optional<Duration> delay,
                                              std::optional<TimePoint> when, Body body) {
    using T = BodyResult<Body, Timeout>;
    TaskCore& task = running_task(when ? "asyncio::timeout_at()" : "asyncio::timeout()");
    const TimePoint now = here.loop->time();
    Timeout limit(task, now, delay ? add_saturating(now, *delay) : when);
    Outcome<T> outcome = co_await settled_body(body, limit);
    limit.leave(outcome);
    co_return co_await leave_with(outcome);
}

template <class Given>
Coro<AwaitResult<Given>> wait_for_scope(Given awaitable, Duration delay) {
    using T = AwaitResult<Given>;
    TaskCore& task = running_task("asyncio::wait_for()");
    const TimePoint now = here.loop->time();
    Timeout limit(task, now, add_saturating(now, delay));
    Outcome<T> outcome = co_await settle(std::move(awaitable));
    limit.leave(outcome);
    co_return co_await leave_with(outcome);
}

template <class Body>
Coro<typename MovedOn<BodyResult<Body, Timeout>>::type>
move_on_scope(std::optional<Duration> delay, std::optional<TimePoint> when, Body body) {
    using T = BodyResult<Body, Timeout>;
    using Result = typename MovedOn<T>::type;
    TaskCore& task = running_task(when ? "asyncio::move_on_at()" : "asyncio::move_on_after()");
    const TimePoint now = here.loop->time();
    Timeout limit(task, now, delay ? add_saturating(now, *delay) : when);
    Outcome<T> outcome = co_await settled_body(body, limit);
    const bool cut_short = limit.leave_and_decide(outcome.cancelled());
    if (outcome.failed() && !cut_short) {
        std::exception_ptr theirs = outcome.cancelled() ? limit.cancellation_of_others() : nullptr;
        co_return Outcome<Result>::failure(theirs != nullptr ? theirs : outcome.error());
    }
    if constexpr (std::is_void_v<T>) {
        co_return cut_short;
    } else {
        if (cut_short) co_return std::nullopt;
        co_return std::move(outcome).value();
    }
}

/// `wait_for` with a delay of zero or less: the limit has passed before anything began. A task or
/// future is cancelled and waited for, unless it is done. A coroutine never runs.
template <class Given>
Coro<AwaitResult<Given>> wait_for_expired(Given awaitable) {
    using T = AwaitResult<Given>;
    running_task("asyncio::wait_for()");
    Outcome<T> outcome;
    if constexpr (FutureLike<Given>) {
        if (!awaitable.done()) awaitable.cancel();
        outcome = co_await settle(std::move(awaitable));
    }
    if (outcome.empty() || outcome.cancelled())
        outcome.fail(std::make_exception_ptr(TimeoutError()));
    co_return co_await leave_with(outcome);
}

}  // namespace internal

namespace no_adl {

/// Runs `body` with a limit: `co_await timeout(1s, [&]() -> Coro<int> { … })`. The body may take a
/// `Timeout&`.
///
/// `delay` is measured from the moment in which the scope is awaited. `std::nullopt` means no
/// limit. Zero or less expires at the first await that waits. The body runs in the calling task.
/// Returns the value of the body.
/// Throws: TimeoutError if the limit cancelled the body; the error of the body otherwise. A body
/// that catches its CancelledError and returns a value has not failed: the value is returned.
/// Cancellation: the body is cancelled and unwinds; a cancellation from outside leaves as
/// CancelledError.
/// Lifetime: capture by reference, `[&]`; the closure lives until the await returns.
/// Python: `async with asyncio.timeout(delay):`.
template <class Body>
auto timeout(std::optional<Delay> delay, Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::timeout_scope<std::decay_t<Body>>(delay, std::nullopt,
                                                       std::forward<Body>(body));
}

/// The same with a deadline on the loop's clock. Python: `asyncio.timeout_at`.
template <class Body>
auto timeout_at(std::optional<Deadline> when, Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::timeout_scope<std::decay_t<Body>>(std::nullopt, when,
                                                       std::forward<Body>(body));
}

/// Runs `body` with a limit, and continues without an error when the limit is reached:
/// `if (co_await move_on_after(1s, [&]() -> Coro<> { … })) …`.
///
/// `delay`, the body and its argument are as for `timeout`.
/// Returns, for a body without a value: true if the body was cut short. For a body with a value:
/// the value, or `std::nullopt` if the body was cut short. A body that catches its CancelledError
/// and returns was not cut short; `Timeout::expired` tells whether the limit was reached.
/// Throws: the error of the body.
/// Cancellation: the body is cancelled and unwinds; a cancellation from outside leaves as
/// CancelledError, also if it comes at the deadline.
/// Lifetime: capture by reference, `[&]`; the closure lives until the await returns.
/// Python: none in asyncio; `move_on_after` of trio and anyio.
template <class Body>
auto move_on_after(std::optional<Delay> delay, Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::move_on_scope<std::decay_t<Body>>(delay, std::nullopt,
                                                       std::forward<Body>(body));
}

/// The same with a deadline on the loop's clock.
template <class Body>
auto move_on_at(std::optional<Deadline> when, Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::move_on_scope<std::decay_t<Body>>(std::nullopt, when,
                                                       std::forward<Body>(body));
}

/// Awaits `awaitable` for at most `delay`. `std::nullopt` means no limit.
///
/// When the time is over, the awaitable is cancelled, and `wait_for` returns when it has ended. A
/// result that arrives at the deadline is returned, not lost. With a delay of zero or less a
/// coroutine never starts, and a task is cancelled unless it is done.
/// Throws: TimeoutError; the error of the awaitable.
/// Cancellation: reaches the awaitable.
/// Python: `asyncio.wait_for`.
template <class Given>
auto wait_for(Given&& awaitable, std::optional<Delay> delay) {
    using Plain = std::decay_t<Given>;
    if (delay && *delay <= Delay()) {
        return internal::wait_for_expired<Plain>(std::forward<Given>(awaitable));
    }
    return internal::wait_for_scope<Plain>(std::forward<Given>(awaitable),
                                           delay.value_or(Duration::max()));
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
