#pragma once
// Time limits: `timeout`, `timeout_at`, `wait_for`, `move_on_after`, `move_on_at`.
//
// A limit is a request to cancel the current task, made by the loop when the deadline comes, and
// taken back when it is over. The scope counts: it remembers how many requests the task had when it
// began, and only if its own is the one that is left does it turn the `CancelledError` into a
// `TimeoutError`. So limits nest, and a cancellation from outside that comes in the same moment
// passes through and wins.

#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/body.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/task.h>

#include <optional>

namespace asyncio {

class Timeout;

namespace internal {

/// What a scope gives that just ends when its time is over.
template <class T>
struct MovedOn {
    static_assert(!std::is_reference_v<T>, "a body that may be cut short returns no reference");
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
/// this file make one, for they see to its end.
/// Python: `asyncio.Timeout`.
class Timeout : lowlevel::Alarm<Timeout> {
public:
    /// The deadline, on the loop's clock; nothing if there is none.
    std::optional<TimePoint> when() const noexcept { return when_; }
    /// Moves the deadline; nothing takes it away. From any task of the loop.
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

    /// Begins in `task`, which runs, at `now`. The clock is not read again, for that is the dearest
    /// part of a limit that does not expire.
    Timeout(internal::TaskCore& task, TimePoint now, std::optional<TimePoint> when);
    /// The body has ended with `outcome`, which may become a TimeoutError.
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
    /// The same, leaving the outcome to the caller. Returns whether the limit, and nobody else, has
    /// cancelled the body.
    bool leave_and_decide(bool body_cancelled);
    /// After that: the body has ended of the limit's request, and one of others came later, which
    /// it was not told. Theirs is what leaves, with its reason; null if there is none.
    std::exception_ptr cancellation_of_others();
    /// Ends the scope if its limit has not been reached: the outcome then stays the body's.
    bool left_in_time() noexcept {
        if (state_ != State::entered) return false;
        stop_alarm();
        state_ = State::left;
        return true;
    }

    /// The deadline has come.
    void alarm_rings() noexcept;
    void set_deadline(TimePoint now);

    std::optional<TimePoint> when_;
    internal::TaskCore& task_;
    /// The one under which the scope began.
    const internal::CancelMask* mask_;
    /// Requests the task had at entry. One that was pending then is not counted, so that it still
    /// wins at the end.
    std::int64_t requests_at_entry_;
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
    if constexpr (std::is_void_v<T>) {
        co_await LeaveWith{outcome};
        co_return;
    } else {
        co_return std::move(outcome);
    }
}

template <class Given>
Coro<AwaitResult<Given>> wait_for_scope(Given awaitable, Duration delay) {
    using T = AwaitResult<Given>;
    TaskCore& task = running_task("asyncio::wait_for()");
    const TimePoint now = here.loop->time();
    Timeout limit(task, now, add_saturating(now, delay));
    Outcome<T> outcome = co_await settle(std::move(awaitable));
    limit.leave(outcome);
    if constexpr (std::is_void_v<T>) {
        co_await LeaveWith{outcome};
        co_return;
    } else {
        co_return std::move(outcome);
    }
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

/// The limit has passed before anything began: what runs already is cancelled and waited for; what
/// does not, never runs.
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
    if constexpr (std::is_void_v<T>) {
        co_await LeaveWith{outcome};
        co_return;
    } else {
        co_return std::move(outcome);
    }
}

}  // namespace internal

/// Runs `body` with a limit: `co_await timeout(1s, [&]() -> Coro<int> { …
/// })`. The body may take a `Timeout&`.
///
/// `delay` is measured from the start; nothing (`std::nullopt`) means no limit; zero or less
/// expires at the first await that waits. The body runs in the calling task.
/// Returns what the body returns. Throws: TimeoutError when the limit cancelled the body; else what
/// the body throws.
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

/// Runs `body` with a limit, and just goes on when that is reached:
/// `if (co_await move_on_after(1s, [&]() -> Coro<> { … })) …`.
///
/// `delay`, the body, and what it may take are `timeout`'s.
/// Returns: for a body without a value, whether it was cut short; for one with a value, that value,
/// or nothing if it was cut short. A body that ends although the limit has asked it to stop was not
/// cut short; its `Timeout::expired` tells the two apart.
/// Throws: what the body throws.
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

/// Awaits `awaitable` for at most `delay`; nothing (`std::nullopt`) means without limit.
///
/// On expiry what is awaited is cancelled, and `wait_for` returns when that has ended. A result
/// that arrives at the deadline is returned, not lost. Zero or less: a coroutine never starts, a
/// task is cancelled unless it is done.
/// Throws: TimeoutError; else what is awaited throws.
/// Cancellation: reaches what is awaited.
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

}  // namespace asyncio
