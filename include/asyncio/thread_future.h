#pragma once
// Results that cross between threads: `run_coroutine_threadsafe` hands a coroutine to a loop from
// another thread, a `ThreadPromise` is kept by a thread of your own, and `wrap_future` lets a task
// await either.
//
//   asyncio::ThreadFuture<int> answer = asyncio::run_coroutine_threadsafe(ask(), loop);
//   int number = answer.get();   // blocks this thread, not the loop's
//
// What happens on one side crosses to the other: the result, the error, and in both directions the
// cancellation. Whoever comes first wins; the other side's end is dropped.
//
// Thread-safety: any thread, but one at a time for one handle.

#include <asyncio/executor.h>
#include <asyncio/internal/thread_call.h>
#include <asyncio/loop_handle.h>

#include <concepts>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T>
class ThreadFuture;

namespace internal {
template <class T>
class WrapJob;
}

/// What happens on another thread, or on a loop of another thread, seen by one that waits for it.
///
/// Dropping the handle changes nothing for the other side. One that was moved from throws
/// RuntimeError when it is used. An error nobody asks for is reported, to
/// the exception handler of the loop or, where the loop may be gone, to the log.
/// Python: `concurrent.futures.Future`, as its readers see it.
template <class T = void>
class [[nodiscard]] ThreadFuture {
public:
    /// For `run_coroutine_threadsafe` and ThreadPromise: takes over a reference.
    template <class Base>
    explicit ThreadFuture(internal::ThreadEndOf<T, Base>& end) noexcept
        : end_(&end), outcome_(&end.outcome()) {}
    ThreadFuture(ThreadFuture&& other) noexcept
        : end_(std::exchange(other.end_, nullptr)), outcome_(other.outcome_) {}
    ThreadFuture& operator=(ThreadFuture&& other) noexcept {
        std::swap(end_, other.end_);
        std::swap(outcome_, other.outcome_);
        return *this;
    }
    ~ThreadFuture() {
        if (end_ != nullptr) end_->release();
    }

    /// Whether there is a result, an error, or a cancellation.
    bool done() const { return existing().done(); }
    /// Whether it ended as cancelled, from either side.
    bool cancelled() const { return existing().cancelled(); }

    /// Blocks the thread until it is done.
    /// Throws: RuntimeError on the loop's own thread, which would wait for itself.
    void wait() { existing().wait_until(internal::never); }
    /// The same for at most `limit`. Whether it is done.
    bool wait_for(Delay limit) {
        return existing().wait_until(internal::add_saturating(Clock::now(), limit));
    }

    /// Blocks until it is done; gives the value away. Call it once.
    /// Throws: what the coroutine threw; CancelledError if either side was cancelled; as `wait`.
    /// Python: `result()`.
    T get() {
        wait();
        return outcome_->last_value();
    }
    /// The same. Throws also: TimeoutError if it is not done within `limit`, and goes on.
    T get(Delay limit) {
        if (!wait_for(limit)) throw TimeoutError();
        return outcome_->last_value();
    }

    /// Ends the waiting at once with a CancelledError, and asks the coroutine to end. False if it
    /// is done.
    bool cancel() { return existing().cancel(); }

private:
    friend internal::WrapJob<T>;

    internal::ThreadEnd& existing() const {
        if (end_ == nullptr) [[unlikely]]
            internal::throw_empty("ThreadFuture");
        return *end_;
    }

    internal::ThreadEnd* end_;
    Outcome<T>* outcome_;
};

/// Has `coroutine` (or anything that can be awaited) run as a task of `loop`, which runs on another
/// thread, or will.
///
/// Lifetime: `loop` must exist when the call begins; afterwards it may close at any time, and a
/// coroutine that has not ended then is cancelled. Where the loop may be gone already, give a
/// `LoopHandle`.
/// Throws: RuntimeError if the loop is closed or gone. If the loop closes before it has come to the
/// coroutine, the ThreadFuture ends with that RuntimeError.
/// Thread-safety: any thread.
/// Python: `asyncio.run_coroutine_threadsafe`.
template <class Awaitable>
auto run_coroutine_threadsafe(Awaitable&& coroutine, const LoopHandle& loop) {
    using Given = std::decay_t<Awaitable>;
    static_assert(!internal::FutureLike<Given>, "a future belongs to its loop's thread");
    static_assert(!std::is_lvalue_reference_v<Awaitable>,
                  "what is awaited goes to another thread: hand it over with std::move");
    using Call = internal::ThreadCallOf<Given>;
    auto* call = new Call(loop.gate(), std::forward<Awaitable>(coroutine));
    ThreadFuture<typename Call::Result> future(*call);
    call->send();
    return future;
}

template <class Awaitable>
auto run_coroutine_threadsafe(Awaitable&& coroutine, EventLoop& loop) {
    return run_coroutine_threadsafe(std::forward<Awaitable>(coroutine), LoopHandle(loop));
}

/// A result that a thread of your own will give.
///
/// Move it to that thread, and leave the ThreadFuture with whoever waits. If it is destroyed
/// without having been kept, whoever waits gets a RuntimeError.
/// Thread-safety: any thread, but one at a time; the future may be on another. Whoever has got the
/// result may destroy the promise, even if `set_result` has not returned yet.
/// Python: `concurrent.futures.Future`, as its writer sees it.
template <class T = void>
class ThreadPromise {
public:
    ThreadPromise() : state_(new internal::ThreadPromiseState<T>) {}
    ThreadPromise(ThreadPromise&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)),
          has_future_(other.has_future_),
          is_kept_(other.is_kept_) {}
    ThreadPromise& operator=(ThreadPromise&& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(has_future_, other.has_future_);
        std::swap(is_kept_, other.is_kept_);
        return *this;
    }
    ~ThreadPromise() {
        if (state_ != nullptr) state_->drop();
    }

    /// Whoever waits. Throws: InvalidStateError when it is asked for again.
    ThreadFuture<T> future() {
        auto& state = existing();
        if (std::exchange(has_future_, true))
            throw InvalidStateError("a ThreadPromise has one future");
        state.retain();
        return ThreadFuture<T>(state);
    }

    /// Keeps the promise. False if it had been cancelled: the value is dropped.
    /// Throws: InvalidStateError if it was kept already.
    template <class... Value>
        requires(sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    bool set_result(Value&&... value) {
        Outcome<T> outcome;
        outcome.emplace(std::forward<Value>(value)...);
        return keep(std::move(outcome));
    }
    /// The same with an error. Throws: RuntimeError if that is null.
    bool set_exception(std::exception_ptr error) {
        if (error == nullptr) internal::throw_null_exception("set_exception()");
        return keep(Outcome<T>::failure(std::move(error)));
    }
    template <class Error>
        requires(!std::same_as<std::decay_t<Error>, std::exception_ptr>)
    bool set_exception(Error&& error) {
        return set_exception(std::make_exception_ptr(std::forward<Error>(error)));
    }

    /// Whether somebody has cancelled it, so that there is no use in going on.
    bool cancelled() const { return existing().cancelled(); }
    /// Whoever waits gets a CancelledError. False if it was kept or cancelled already.
    bool cancel() { return existing().cancel(); }

private:
    internal::ThreadPromiseState<T>& existing() const {
        if (state_ == nullptr) [[unlikely]]
            internal::throw_empty("ThreadPromise");
        return *state_;
    }

    bool keep(Outcome<T>&& outcome) {
        // Whoever waits may destroy this the moment it is told.
        auto* const state = &existing();
        if (std::exchange(is_kept_, true))
            throw InvalidStateError("the ThreadPromise is kept already");
        state->retain();
        const bool was_first = state->end(std::move(outcome));
        state->release();
        return was_first;
    }

    internal::ThreadPromiseState<T>* state_;
    bool has_future_ = false;
    bool is_kept_ = false;
};

namespace internal {

/// What ends a loop's future as a thread's has ended. To the loop it is a job like those of
/// executors, which "runs" at the moment in which the thread's side ends.
template <class T>
class WrapJob final : public LoopJob {
public:
    WrapJob(LoopThreads& threads, ThreadFuture<T>&& given)
        : LoopJob(threads),
          given_(std::move(given)),
          future_(Ref<ExecutorFuture<T>>::adopt(new ExecutorFuture<T>(threads.loop()))) {
        future_->attach(this);
    }

    Future<T> start(LoopThreads& threads) {
        Future<T> future(Ref<FutureState<T>>::share(future_.get()));
        threads.add(*this);
        given_.end_->at_end(*this);
        return future;
    }

private:
    void call() noexcept override {}
    /// The loop's side was cancelled first.
    void drop_call() noexcept override { given_.cancel(); }
    void fail_dropped() noexcept override {}
    void request_stop() noexcept override {}
    /// Only here is the outcome taken: one that does not get this far, since the loop has closed,
    /// stays where an error is reported.
    void deliver() noexcept override { future_->end(std::move(*given_.outcome_)); }
    void forget_future() noexcept override {
        future_->attach(nullptr);
        future_ = {};
    }

    ThreadFuture<T> given_;
    Ref<ExecutorFuture<T>> future_;
};

}  // namespace internal

/// A future of the loop that ends as `future` does: `co_await wrap_future(promise.future())`, or
/// `co_await wrap_future(run_coroutine_threadsafe(ask(), other_loop))`.
///
/// Cancellation: cancelling either side cancels the other. A result that comes afterwards is
/// dropped.
/// Lifetime: the loop may close meanwhile; it then hears no more of it.
/// Throws: RuntimeError if the loop is closed.
/// Python: `asyncio.wrap_future`, which leaves the thread's future usable; ours is given away.
template <class T>
Future<T> wrap_future(ThreadFuture<T>&& future, EventLoop& loop) {
    if (loop.is_closed())
        throw RuntimeError("the event loop is closed: asyncio::wrap_future() needs one that is "
                           "open");
    future.done();  // an empty one is refused
    auto& threads = internal::LoopThreads::of(loop);
    return (new internal::WrapJob<T>(threads, std::move(future)))->start(threads);
}

/// The same for the running loop. Throws also: RuntimeError if none runs.
template <class T>
Future<T> wrap_future(ThreadFuture<T>&& future) {
    return wrap_future(std::move(future), internal::running_loop("asyncio::wrap_future()"));
}

/// A future or task of the loop is returned as it is.
template <internal::FutureLike Given>
Given wrap_future(Given future) {
    return future;
}

}  // namespace asyncio
