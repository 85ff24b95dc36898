#pragma once
// `Future<T>`: a result that is not there yet.
//
// A handle; copies refer to the same future. Many tasks may await one future, and all of them
// resume one iteration after it is done, in the order in which they came. Awaiting one that is done
// costs no iteration.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/future_base.h>
#include <asyncio/lowlevel/waiter.h>

#include <compare>
#include <concepts>
#include <functional>

namespace asyncio {
namespace internal {

/// In debug mode: says so if `waiter`, which is about to wait for `awaited` at `place`, closes a
/// circle of tasks that wait for each other.
void warn_of_circle(TaskCore& waiter, FutureBase& awaited, const PromiseBase* place) noexcept;

/// Waits for a future, and keeps it alive meanwhile.
class FutureWaiter : public lowlevel::Waiter {
public:
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

    /// A request that came too late to be passed on, and says nothing that the one before has not
    /// said, is delivered by the end of what is waited for.
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
    bool undelivered() { return parked() && task().must_cancel(); }
    void prefer_awaited();
};

template <class T>
class FutureAwaiter : public FutureWaiter {
public:
    explicit FutureAwaiter(Ref<FutureState<T>> state) noexcept
        : FutureWaiter(Ref<FutureBase>::adopt(state.leak())) {}

protected:
    FutureState<T>& state() const noexcept { return static_cast<FutureState<T>&>(*awaited_); }
};

/// `co_await future` where the handle stays: a reference to the value, which lives as long as the
/// handle.
template <class T>
class SharedAwaiter final : public FutureAwaiter<T> {
    using Seen = decltype(std::declval<const Outcome<T>&>().value());

public:
    using FutureAwaiter<T>::FutureAwaiter;
    Seen await_resume() {
        this->resumed();
        return this->state().outcome().value();
    }
    /// Non-throwing, for the scopes.
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

/// `co_await std::move(future)`, `co_await create_task(…)`: the value, moved out if nobody else can
/// ask for it.
template <class T>
class OwningAwaiter final : public FutureAwaiter<T> {
public:
    using FutureAwaiter<T>::FutureAwaiter;
    T await_resume() {
        this->resumed();
        return this->state().hand_over().value();
    }
    /// Non-throwing, for the scopes.
    Outcome<T> take_outcome() {
        if (std::exception_ptr cancellation = this->resumed_quietly()) [[unlikely]]
            return Outcome<T>::failure(std::move(cancellation));
        return this->state().hand_over();
    }
};

/// What `Future` and `Task` have in common. A handle that was default-constructed or moved from
/// refers to nothing, is false, and throws RuntimeError when it is used.
template <class T>
class FutureHandle {
public:
    using value_type = T;

    /// Whether there is a result, an error, or a cancellation.
    bool done() const { return existing().done(); }
    bool cancelled() const { return existing().cancelled(); }

    /// The value. Throws: the error; CancelledError if it was cancelled; InvalidStateError if it is
    /// not done.
    decltype(auto) result() const { return existing().outcome().value(); }

    /// The error; null if there is a value. Throws: CancelledError, InvalidStateError, as `result`.
    std::exception_ptr exception() const {
        const Outcome<T>& outcome = existing().outcome();
        if (state_->cancelled()) std::rethrow_exception(outcome.error());
        return outcome.error();
    }

    /// Asks for the end. False if it is done already; whoever awaits it then gets the result it
    /// has.
    bool cancel(std::string_view message = {}) const { return existing().cancel(message); }

    /// Calls `callback(future)`, or `callback()` if it takes nothing, one iteration after this is
    /// done, also if it is done already. Callbacks and awaiting tasks run in the order in which
    /// they came. Returns what `remove_done_callback` takes.
    /// Throws: RuntimeError if the loop is closed, for then nothing calls it.
    template <class Callback>
        requires DoneCallable<Callback, Future<T>>
    CallbackId add_done_callback(Callback&& callback) const {
        return register_done_callback(
            existing(), std::forward<Callback>(callback), [](FutureBase& future) {
                return Future<T>(Ref<FutureState<T>>::share(static_cast<FutureState<T>*>(&future)));
            });
    }
    /// True if it was registered; false if it has run or is about to.
    bool remove_done_callback(CallbackId id) const { return DoneCallback::remove(existing(), id); }

    /// Throws: RuntimeError if it is gone.
    EventLoop& get_loop() const {
        existing().require_existing_loop("get_loop");
        return state_->loop();
    }

    /// Whether two handles refer to the same future.
    bool operator==(const FutureHandle& other) const noexcept {
        return state_.get() == other.state_.get();
    }
    /// An order among futures that exist at the same time, for sets and maps. It means nothing
    /// else.
    std::strong_ordering operator<=>(const FutureHandle& other) const noexcept {
        return std::compare_three_way()(state_.get(), other.state_.get());
    }
    /// A handle that was moved from, or made without a future, refers to none.
    explicit operator bool() const noexcept { return static_cast<bool>(state_); }

    auto operator co_await() const& {
        existing();
        return SharedAwaiter<T>(state_);
    }
    auto operator co_await() && {
        existing();
        return OwningAwaiter<T>(std::move(state_));
    }

    const Ref<FutureState<T>>& state() const noexcept { return state_; }

protected:
    /// What the handle refers to. Throws: RuntimeError if that is nothing.
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

/// A future somebody sets by hand: `Future<int> future(get_running_loop());`, or
/// `loop.create_future<int>()`. `Future<int> future;` is a handle without a future.
///
/// Cancellation: awaiting it is a cancellation point if it is not done; cancelling a task that
/// awaits a future cancels the future too, for everybody, as in Python. `shield` it where that is
/// not wanted. An error that nobody ever asks for is reported to the loop's exception handler when
/// the last handle goes.
/// Python: `asyncio.Future`.
template <class T = void>
class Future : public internal::FutureHandle<T> {
public:
    Future() noexcept = default;
    /// A new one, of a loop that need not run yet. Python: `asyncio.Future(loop=loop)`.
    explicit Future(EventLoop& loop)
        : Future(
              internal::Ref<internal::FutureState<T>>::adopt(new internal::FutureState<T>(loop))) {}
    explicit Future(internal::Ref<internal::FutureState<T>> state) noexcept
        : internal::FutureHandle<T>(std::move(state)) {}

    /// Throws: InvalidStateError if it is done; RuntimeError if its loop is gone, as all that
    /// changes it.
    template <class... Value>
        requires(sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    void set_result(Value&&... value) const {
        this->existing().require_loop("set_result");
        this->state_->set_value(std::forward<Value>(value)...);
    }
    /// Throws: InvalidStateError if it is done; RuntimeError if `error` is null.
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

/// A future or task whatever it gives, for lists of unlike ones. Empty if there is none.
///
/// Any `Future` and `Task` becomes one by itself, and compares equal to it.
class FutureRef {
public:
    FutureRef() noexcept = default;
    template <class T>
    FutureRef(const internal::FutureHandle<T>& future) noexcept
        : FutureRef(internal::Ref<internal::FutureBase>::share(future.state().get())) {}
    explicit FutureRef(internal::Ref<internal::FutureBase> state) noexcept
        : state_(std::move(state)) {}

    explicit operator bool() const noexcept { return static_cast<bool>(state_); }
    bool operator==(const FutureRef& other) const noexcept {
        return state_.get() == other.state_.get();
    }
    /// As that of `Future`.
    std::strong_ordering operator<=>(const FutureRef& other) const noexcept {
        return std::compare_three_way()(state_.get(), other.state_.get());
    }

    // As those of `Future`.
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
        return state_->loop();
    }

    const internal::Ref<internal::FutureBase>& state() const noexcept { return state_; }

protected:
    /// What is referred to. Throws: RuntimeError if that is nothing.
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
