#pragma once
// `Future<T>`: a result that is not there yet.
//
// A `Future` object is a handle; copies of it refer to the same future. Many tasks may await one
// future. All of them resume one iteration after it is done, in the order in which they began to
// wait. An await of a future that is done costs no iteration.
//
// Why one iteration, and not at once. `set_result` could resume the first waiter inside its own
// call. Then the waiter would run in the middle of the code that sets the result, on top of its
// stack, before the rest of that code has had its effect. So completing a future only appends its
// list of waiters to the ready queue, which is a handful of stores however many tasks wait. (A
// future with done-callbacks walks its list once, so that the callbacks keep it alive until they
// have run.) The rule is also CPython's, to the tick: with it, every race inside one iteration has
// the outcome that it has there.
//
// The waiters. The list of a future holds `internal::Ready` nodes of three kinds: tasks that await
// it, done-callbacks, and the nodes of `gather`, `wait` and their relatives. A single list for all
// kinds keeps them in the order of their registration. A task that waits needs no node of its own,
// because the task is the node; so awaiting allocates nothing.
//
// References. A handle and a waiting task each hold a reference. A done-callback holds none before
// the future is done, since otherwise a future that is never set would keep itself alive. A future
// that loses its last reference destroys the callbacks that are still registered; they do not run.
//
// Two ways to await. `co_await future` leaves the handle with the program, so the await gives a
// reference to the stored value, and several tasks can read it. `co_await std::move(future)` and
// `co_await create_task(…)` give up the handle, so the await gives the value itself. It is moved if
// no other handle is left, or if the type cannot be copied, and copied otherwise.
//
// Cancellation runs through a future. A request to cancel a task that awaits a future cancels the
// future, and the end of the future wakes the task. A task that awaits a task passes the request on
// in this way, along chains of any length (`internal/core/cancel_walk.h`).
//
// Thread-safety: loop thread only.

#include <asyncio/event_loop.h>
#include <asyncio/internal/core/future_base.h>
#include <asyncio/lowlevel/waiter.h>

#include <compare>
#include <concepts>
#include <functional>

namespace asyncio {
namespace internal {

/// Debug mode only. `waiter` is about to wait for `awaited` at `place`. Logs a warning if this wait
/// closes a circle of tasks that wait for each other.
void warn_of_circle(TaskCore& waiter, FutureBase& awaited, const PromiseBase* place) noexcept;

/// Waits for a future, and keeps it alive during the wait. This is the part that does not depend on
/// the type of the result.
class FutureWaiter : public lowlevel::Waiter {
public:
    /// The future that is waited for. A request to cancel follows it from task to task.
    FutureBase& awaited() const noexcept { return *awaited_; }

    bool await_ready() const noexcept { return awaited_->done(); }

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        awaited_->require_awaitable_by(task("a Future or Task"));
        if (awaited_->loop().get_debug()) [[unlikely]]
            warn_of_circle(task(), *awaited_, promise_base(coroutine));
        awaited_->notify(task());
        // Not called: a request to cancel asks `awaited()` itself (`CancelWalk`).
        park(coroutine, &cannot_abort);
    }

protected:
    explicit FutureWaiter(Ref<FutureBase> awaited) noexcept
        : Waiter(ForFuture()), awaited_(std::move(awaited)) {}

    /// The first thing on resumption. A request to cancel may have come after the future was done
    /// and before the task runs. Such a request was too late to be passed on, so it is still
    /// pending. If the future itself ended as cancelled and the request carries no reason of its
    /// own, the CancelledError of the future stands for both. Otherwise the request is thrown here.
    [[gnu::always_inline]] void resumed() {
        if (undelivered()) [[unlikely]]
            prefer_awaited();
        Waiter::resumed();
    }
    std::exception_ptr resumed_quietly() {
        if (undelivered()) [[unlikely]]
            prefer_awaited();
        return Waiter::resumed_quietly();
    }

    Ref<FutureBase> awaited_;

private:
    /// Whether the task has waited and a request is pending. Rare, so the rest stands out of line.
    bool undelivered() { return parked() && task().must_cancel(); }
    void prefer_awaited();
};

template <class T>
/// Adds the type of the result.
class FutureAwaiter : public FutureWaiter {
public:
    explicit FutureAwaiter(Ref<FutureState<T>> state) noexcept
        : FutureWaiter(Ref<FutureBase>::adopt(state.leak())) {}

protected:
    FutureState<T>& state() const noexcept { return static_cast<FutureState<T>&>(*awaited_); }
};

/// The awaiter of `co_await future`, where the program keeps its handle. Gives a reference to the
/// value, which lives as long as a handle does.
template <class T>
class SharedAwaiter final : public FutureAwaiter<T> {
    using Seen = decltype(std::declval<const Outcome<T>&>().value());

public:
    using FutureAwaiter<T>::FutureAwaiter;
    Seen await_resume() {
        this->resumed();
        return this->state().outcome().value();
    }
    /// For `settle`: the result or the error as a value, without a throw.
    Outcome<Seen> take_outcome() {
        if (std::exception_ptr cancellation = this->resumed_quietly()) [[unlikely]]
            return Outcome<Seen>::failure(std::move(cancellation));
        const Outcome<T>& outcome = this->state().outcome();
        if constexpr (std::is_same_v<Seen, T>) {
            return outcome;
        } else {
            if (outcome.failed()) return Outcome<Seen>::failure(outcome.error());
            Outcome<Seen> seen;
            seen.emplace(outcome.value());
            return seen;
        }
    }
};

/// The awaiter of `co_await std::move(future)` and `co_await create_task(…)`. Gives the value:
/// moved out if no other handle is left, or if it cannot be copied.
template <class T>
class OwningAwaiter final : public FutureAwaiter<T> {
public:
    using FutureAwaiter<T>::FutureAwaiter;
    T await_resume() {
        this->resumed();
        return this->state().hand_over().value();
    }
    /// For `settle`: the result or the error as a value, without a throw.
    Outcome<T> take_outcome() {
        if (std::exception_ptr cancellation = this->resumed_quietly()) [[unlikely]]
            return Outcome<T>::failure(std::move(cancellation));
        return this->state().hand_over();
    }
};

/// The common part of `Future` and `Task`. A handle that was default-constructed or moved from
/// refers to no future. It is false, and throws RuntimeError when it is used.
template <class T>
class FutureHandle {
public:
    using value_type = T;

    /// Whether the future has ended: with a value, with an error, or cancelled.
    bool done() const { return existing().done(); }
    bool cancelled() const { return existing().cancelled(); }

    /// The value, as a reference that lives as long as a handle does. Never waits.
    /// Throws: the error; CancelledError if the future was cancelled; InvalidStateError if it is
    /// not done, or if the value has been moved out to another handle.
    decltype(auto) result() const { return existing().outcome().value(); }

    /// The error; null if there is a value. The error counts as seen, so it is not reported when
    /// the last handle is destroyed.
    /// Throws: CancelledError and InvalidStateError, as `result`.
    std::exception_ptr exception() const {
        const Outcome<T>& outcome = existing().outcome();
        if (state_->cancelled()) std::rethrow_exception(outcome.error());
        return outcome.error();
    }

    /// Asks for the end. A plain future ends at once as cancelled; a task ends when its coroutine
    /// has ended; a gather ends when its parts have. `message` becomes the message of the
    /// CancelledError.
    /// Returns false if the future is done already. Its result stands then.
    bool cancel(std::string_view message = {}) const { return existing().cancel(message); }

    /// Calls `callback(future)`, or `callback()` if it takes no argument, one iteration after the
    /// future is done. If it is done already, the callback runs in the next iteration. Callbacks
    /// and waiting tasks run in the order of their registration. A callback runs in a copy of the
    /// context in which it was registered. An exception that leaves it goes to the loop's exception
    /// handler.
    /// Returns the number that `remove_done_callback` takes.
    /// Throws: RuntimeError if the loop is closed, since the callback would never run.
    /// Cost: allocates.
    template <class Callback>
        requires DoneCallable<Callback, Future<T>>
    CallbackId add_done_callback(Callback&& callback) const {
        return register_done_callback(
            existing(), std::forward<Callback>(callback), [](FutureBase& future) {
                return Future<T>(Ref<FutureState<T>>::share(static_cast<FutureState<T>*>(&future)));
            });
    }
    /// Removes a callback. Returns true if it was registered and will not run; false if it has run
    /// or is about to run. Cost: O(waiters).
    bool remove_done_callback(CallbackId id) const { return DoneCallback::remove(existing(), id); }

    /// The loop of the future. Throws: RuntimeError if the loop has been destroyed.
    EventLoop& get_loop() const {
        existing().require_existing_loop("get_loop");
        return internal::face_of(state_->loop());
    }

    /// Whether two handles refer to the same future.
    bool operator==(const FutureHandle& other) const noexcept {
        return state_.get() == other.state_.get();
    }
    /// An order among futures that exist at the same time, for sets and maps. The order has no
    /// other meaning.
    std::strong_ordering operator<=>(const FutureHandle& other) const noexcept {
        return std::compare_three_way()(state_.get(), other.state_.get());
    }
    /// Whether the handle refers to a future. A handle that was moved from, or made without a
    /// future, does not.
    explicit operator bool() const noexcept { return static_cast<bool>(state_); }

    auto operator co_await() const& {
        existing();
        return SharedAwaiter<T>(state_);
    }
    auto operator co_await() && {
        existing();
        return OwningAwaiter<T>(std::move(state_));
    }

    /// For the library. Null if the handle refers to no future.
    const Ref<FutureState<T>>& state() const noexcept { return state_; }

protected:
    /// The state behind the handle. Throws: RuntimeError if there is none.
    FutureState<T>& existing() const {
        if (!state_) [[unlikely]]
            throw_empty("Future or Task");
        return *state_;
    }

    FutureHandle() noexcept = default;
    explicit FutureHandle(Ref<FutureState<T>> state) noexcept : state_(std::move(state)) {}

    Ref<FutureState<T>> state_;
};

}  // namespace internal

/// A future that the program sets by hand: `Future<int> future(get_running_loop());`, or
/// `loop.create_future<int>()`. `Future<int> future;` is a handle that refers to no future.
///
/// Errors: an error that the program never asks for is reported to the loop's exception handler
/// when the last handle is destroyed.
/// Cancellation: awaiting the future is a cancellation point if it is not done. Cancelling a task
/// that awaits a future cancels the future, and so ends the wait of all other tasks that await it,
/// as in Python. Use `shield` where that is not wanted.
/// Python: `asyncio.Future`.
template <class T = void>
class Future : public internal::FutureHandle<T> {
public:
    Future() noexcept = default;
    /// A new future of `loop`, which need not run yet. Cost: one allocation.
    /// Python: `asyncio.Future(loop=loop)`.
    explicit Future(EventLoop& loop)
        : Future(
              internal::Ref<internal::FutureState<T>>::adopt(new internal::FutureState<T>(loop))) {}
    explicit Future(internal::Ref<internal::FutureState<T>> state) noexcept
        : internal::FutureHandle<T>(std::move(state)) {}

    /// Ends the future with a value. The waiters run in the next iteration.
    /// Throws: InvalidStateError if the future is done; RuntimeError if its loop has been
    /// destroyed.
    template <class... Value>
        requires(sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    void set_result(Value&&... value) const {
        this->existing().require_loop("set_result");
        this->state_->set_value(std::forward<Value>(value)...);
    }
    /// Ends the future with an error. A CancelledError given here counts as an error, not as a
    /// cancellation.
    /// Throws: InvalidStateError if the future is done; RuntimeError if `error` is null.
    void set_exception(std::exception_ptr error) const {
        this->existing().require_loop("set_exception");
        if (error == nullptr) internal::throw_null_exception("set_exception()");
        this->state_->set(Outcome<T>::failure(std::move(error)));
    }
    template <class Error>
        requires(!std::same_as<std::decay_t<Error>, std::exception_ptr>)
    void set_exception(Error&& error) const {
        set_exception(std::make_exception_ptr(std::forward<Error>(error)));
    }
};

template <class T>
Future<T> EventLoop::create_future() {
    return Future<T>(*this);
}

/// A handle to a future or task of any result type, for lists whose elements have different types.
/// A `FutureRef` that refers to no future is false, and throws RuntimeError when it is used.
///
/// Every `Future` and `Task` converts to a `FutureRef`, and compares equal to it. The value cannot
/// be read through it, because its type is not known here.
class FutureRef {
public:
    FutureRef() noexcept = default;
    template <class T>
    FutureRef(const internal::FutureHandle<T>& future) noexcept
        : FutureRef(internal::Ref<internal::FutureBase>::share(future.state().get())) {}
    explicit FutureRef(internal::Ref<internal::FutureBase> state) noexcept
        : state_(std::move(state)) {}

    explicit operator bool() const noexcept { return static_cast<bool>(state_); }
    /// Whether two handles refer to the same future.
    bool operator==(const FutureRef& other) const noexcept {
        return state_.get() == other.state_.get();
    }
    /// As the order of `Future`.
    std::strong_ordering operator<=>(const FutureRef& other) const noexcept {
        return std::compare_three_way()(state_.get(), other.state_.get());
    }

    // As the functions of `Future` with the same names.
    bool done() const { return existing().done(); }
    bool cancelled() const { return existing().cancelled(); }
    std::exception_ptr exception() const;
    bool cancel(std::string_view message = {}) const { return existing().cancel(message); }
    template <class Callback>
        requires internal::DoneCallable<Callback, FutureRef>
    auto add_done_callback(Callback&& callback) const {
        return internal::register_done_callback(
            existing(), std::forward<Callback>(callback), [](internal::FutureBase& future) {
                return FutureRef(internal::Ref<internal::FutureBase>::share(&future));
            });
    }
    EventLoop& get_loop() const {
        existing().require_existing_loop("get_loop");
        return internal::face_of(state_->loop());
    }

    const internal::Ref<internal::FutureBase>& state() const noexcept { return state_; }

protected:
    /// The state behind the handle. Throws: RuntimeError if there is none.
    internal::FutureBase& existing() const {
        if (!state_) [[unlikely]]
            internal::throw_empty("FutureRef or TaskRef");
        return *state_;
    }

    internal::Ref<internal::FutureBase> state_;
};

}  // namespace asyncio

// For `std::unordered_set` and `std::unordered_map`: equal handles have equal hashes.
template <class T>
struct std::hash<asyncio::Future<T>> {
    std::size_t operator()(const asyncio::Future<T>& future) const noexcept {
        return std::hash<const void*>()(future.state().get());
    }
};
template <>
struct std::hash<asyncio::FutureRef> {
    std::size_t operator()(const asyncio::FutureRef& future) const noexcept {
        return std::hash<const void*>()(future.state().get());
    }
};
