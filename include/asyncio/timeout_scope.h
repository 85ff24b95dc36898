#pragma once
// A limit as an object that can be asked after its scope: Python's
// `async with timeout(1) as limit:`, and behind it `limit.expired()`.
//
//   auto limit = timeout(1s);
//   co_await limit([&]() -> Coro<> { … });      // may throw TimeoutError
//   if (limit.expired()) …
//
// The running limit is a `Timeout` in the frame of the scope, as for `timeout(delay, body)`. The
// object here only shares a record with that scope. While the scope runs, the record points to the
// `Timeout`; at its end the scope writes the outcome into the record. So either of the two may end
// first.
//
// Thread-safety: loop thread only.

#include <asyncio/finally.h>
#include <asyncio/timeout.h>

#include <memory>
#include <optional>
#include <utility>

namespace asyncio {
namespace internal {

/// The record that the limit's object and its scope share. Each holds a reference, because either
/// may outlive the other.
struct TimeoutRecord {
    std::optional<TimePoint> when;
    /// The limit of the running scope; null before and after.
    Timeout* running = nullptr;
    bool entered = false;
    bool expired = false;

    /// An object in the scope's frame: sets `running` at its beginning, and writes the outcome at
    /// its end, also if the scope is dropped.
    class Run {
    public:
        Run(TimeoutRecord& record, Timeout& limit) noexcept : record_(record) {
            record_.running = &limit;
        }
        Run(const Run&) = delete;
        Run& operator=(const Run&) = delete;
        ~Run() {
            record_.when = record_.running->when();
            record_.expired = record_.running->expired();
            record_.running = nullptr;
        }

    private:
        TimeoutRecord& record_;
    };

    /// Notes that the limit is used. Throws: RuntimeError if it was used before.
    void enter();
    /// Throws: RuntimeError if the scope does not run.
    void reschedule(std::optional<TimePoint> to);
};

template <class Body>
Coro<BodyResult<Body, Timeout>> recorded_timeout(std::shared_ptr<TimeoutRecord> record, Body body) {
    using T = BodyResult<Body, Timeout>;
    record->enter();
    const auto called = [&](Timeout& limit) -> Coro<T> {
        const TimeoutRecord::Run run(*record, limit);
        Outcome<T> outcome = co_await settled_body(body, limit);
        co_return co_await leave_with(outcome);
    };
    Outcome<T> outcome = co_await settle(timeout_at(record->when, called));
    co_return co_await leave_with(outcome);
}

}  // namespace internal

/// A limit as an object. `timeout(delay)` and `timeout_at(when)` without a body make one. Copies
/// refer to the same limit.
/// Python: `asyncio.Timeout`.
class TimeoutScope {
public:
    explicit TimeoutScope(std::optional<TimePoint> when)
        : record_(std::make_shared<internal::TimeoutRecord>()) {
        record_->when = when;
    }

    /// Runs `body` with the limit, as `timeout(delay, body)` does. May be called once.
    /// Throws also: RuntimeError if it has been entered before.
    template <class Body>
    auto operator()(Body&& body) const {
        internal::require_safe_closure<Body>();
        return internal::recorded_timeout<std::decay_t<Body>>(record_, std::forward<Body>(body));
    }

    /// The deadline, on the loop's clock; `std::nullopt` if there is none.
    std::optional<TimePoint> when() const noexcept {
        return record_->running != nullptr ? record_->running->when() : record_->when;
    }
    /// Moves the deadline; `std::nullopt` takes it away.
    /// Throws: RuntimeError if the scope does not run, or if the limit has expired.
    void reschedule(std::optional<Deadline> when) const { record_->reschedule(when); }
    /// Whether the limit was reached before the body ended. Also valid after the scope.
    bool expired() const noexcept {
        return record_->running != nullptr ? record_->running->expired() : record_->expired;
    }

private:
    std::shared_ptr<internal::TimeoutRecord> record_;
};

namespace no_adl {

/// A limit whose time begins now. Call it with a body: see the top of `timeout_scope.h`.
/// `std::nullopt` means no limit.
///
/// Throws: RuntimeError if no loop runs.
/// Python: `asyncio.timeout(delay)`.
inline TimeoutScope timeout(std::optional<Delay> delay) {
    if (!delay) return TimeoutScope(std::nullopt);
    return TimeoutScope(
        internal::add_saturating(internal::running_loop("asyncio::timeout()").time(), *delay));
}

/// The same with a deadline on the loop's clock. Python: `asyncio.timeout_at(when)`.
inline TimeoutScope timeout_at(std::optional<Deadline> when) { return TimeoutScope(when); }

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
