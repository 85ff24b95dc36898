#pragma once
// Results that cross between threads: `run_coroutine_threadsafe` hands a coroutine to a loop from
// another thread; a `ThreadPromise` carries a result from a thread of your own; and `wrap_future`
// lets a task await either.
//
//   asyncio::ThreadFuture<int> answer = asyncio::run_coroutine_threadsafe(ask(), loop);
//   int number = answer.get();   // blocks this thread, not the loop's
//
// There are two sides: one that waits, and one that works. Results and errors cross from the
// working side to the waiting side, and a cancellation crosses in both directions. The end happens
// once. If both sides end it at the same time, the first one decides, and the other end is dropped.
// A flag under a mutex decides which side was first (`internal/executors/thread_call.h`).
//
// Thread-safety: any thread. A handle object is used by one thread at a time.

#include <asyncio/executor.h>
#include <asyncio/internal/executors/thread_call.h>
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

/// The waiting side: a handle to something that happens on another thread, or on the loop of
/// another thread.
///
/// Dropping the handle changes nothing for the other side. A handle that was moved from throws
/// RuntimeError when it is used. An error that the program never asks for is reported: to the
/// exception handler of the loop, or to the log if the loop may be gone.
/// Python: `concurrent.futures.Future`, the functions for readers.
template <class T = void>
class [[nodiscard]] ThreadFuture {
public:
    /// For `run_coroutine_threadsafe` and `ThreadPromise`: takes a reference over.
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

    /// Whether it has ended: with a result, with an error, or cancelled.
    bool done() const { return existing().done(); }
    /// Whether it ended as cancelled, from either side.
    bool cancelled() const { return existing().cancelled(); }

    /// Blocks the thread until it is done.
    /// Throws: RuntimeError on the thread of the loop that runs the coroutine, since it would wait
    /// for itself.
    void wait() { existing().wait_until(internal::never); }
    /// The same for at most `limit`. Returns whether it is done.
    bool wait_for(Delay limit) {
        return existing().wait_until(internal::add_saturating(Clock::now(), limit));
    }

    /// Blocks the thread until it is done, and returns the value, moved out. May be called once.
    /// Throws: the error of the coroutine; CancelledError if either side was cancelled; as `wait`.
    /// Python: `result()`.
    T get() {
        wait();
        return outcome_->last_value();
    }
    /// The same for at most `limit`. Throws also: TimeoutError if it is not done by then; the other
    /// side continues.
    T get(Delay limit) {
        if (!wait_for(limit)) throw TimeoutError();
        return outcome_->last_value();
    }

    /// Ends the wait at once with a CancelledError, and asks the coroutine to end. Returns false if
    /// it is done already.
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

/// Runs `coroutine` (or anything else that can be awaited) as a task of `loop`, which runs on
/// another thread, or will run there.
///
/// Lifetime: `loop` must exist when the call begins. After that it may close at any time, and a
/// coroutine that has not ended then is cancelled. Where the loop may be gone already, pass a
/// `LoopHandle`.
/// Throws: RuntimeError if the loop is closed or gone. If the loop closes before it has come to the
/// coroutine, the ThreadFuture ends with that RuntimeError.
/// Thread-safety: any thread.
/// Python: `asyncio.run_coroutine_threadsafe`.
template <class Awaitable>
auto run_coroutine_threadsafe(Awaitable&& coroutine, const LoopHandle& loop) {
    using Given = std::decay_t<Awaitable>;
    static_assert(!internal::FutureLike<Given>,
                  "a future belongs to the thread of its loop: give a coroutine");
    static_assert(!std::is_lvalue_reference_v<Awaitable>,
                  "the awaitable goes to another thread: pass it with std::move");
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

/// The working side: a result that a thread of your own will give.
///
/// Move the promise to that thread, and keep the ThreadFuture on the waiting side. If the promise
/// is destroyed before it has a result, the waiting side gets a RuntimeError.
/// Thread-safety: any thread, one at a time; the future may be used on another thread. Code that
/// has got the result may destroy the promise, even if `set_result` has not returned yet.
/// Python: `concurrent.futures.Future`, the functions for the writer.
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

    /// The future of the waiting side. Throws: InvalidStateError at a second call.
    ThreadFuture<T> future() {
        auto& state = existing();
        if (std::exchange(has_future_, true))
            throw InvalidStateError(
                "future() was called twice: a ThreadPromise has only one future");
        state.retain();
        return ThreadFuture<T>(state);
    }

    /// Ends it with a value. Returns false if it was cancelled before; the value is dropped then.
    /// Throws: InvalidStateError if it has a result or an error already.
    template <class... Value>
        requires(sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    bool set_result(Value&&... value) {
        Outcome<T> outcome;
        outcome.emplace(std::forward<Value>(value)...);
        return keep(std::move(outcome));
    }
    /// Ends it with an error. Throws: as `set_result`; RuntimeError if `error` is null.
    bool set_exception(std::exception_ptr error) {
        if (error == nullptr) internal::throw_null_exception("set_exception()");
        return keep(Outcome<T>::failure(std::move(error)));
    }
    template <class Error>
        requires(!std::same_as<std::decay_t<Error>, std::exception_ptr>)
    bool set_exception(Error&& error) {
        return set_exception(std::make_exception_ptr(std::forward<Error>(error)));
    }

    /// Whether it was cancelled, so that the thread can stop working.
    bool cancelled() const { return existing().cancelled(); }
    /// Ends it as cancelled: the waiting side gets a CancelledError. Returns false if it has ended
    /// already.
    bool cancel() { return existing().cancel(); }

private:
    internal::ThreadPromiseState<T>& existing() const {
        if (state_ == nullptr) [[unlikely]]
            internal::throw_empty("ThreadPromise");
        return *state_;
    }

    bool keep(Outcome<T>&& outcome) {
        // The waiting side may destroy this object as soon as the end is announced, so nothing of
        // it is touched after that.
        auto* const state = &existing();
        if (std::exchange(is_kept_, true))
            throw InvalidStateError("the ThreadPromise has a result already");
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

/// The job behind `wrap_future`: ends a future of the loop as the thread's future has ended. For
/// the loop it is a job like those of executors; it "runs" at the moment in which the thread's side
/// ends.
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
    /// The loop's side was cancelled first, so the thread's side is cancelled, too.
    void drop_call() noexcept override { given_.cancel(); }
    void fail_dropped() noexcept override {}
    void request_stop() noexcept override {}
    /// The outcome is taken here, on the loop, and not earlier. If the loop closes before, the
    /// outcome stays with the thread's side, which reports an error that it holds.
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
/// Lifetime: the loop may close before the end; the future then stays as it is.
/// Throws: RuntimeError if the loop is closed.
/// Python: `asyncio.wrap_future`. There the thread's future stays usable; here it is given away.
template <class T>
Future<T> wrap_future(ThreadFuture<T>&& future, EventLoop& loop) {
    if (loop.is_closed())
        throw RuntimeError(
            "the event loop is closed: asyncio::wrap_future() needs an open event loop");
    future.done();  // throws for an empty handle
    auto& threads = internal::LoopThreads::of(loop);
    return (new internal::WrapJob<T>(threads, std::move(future)))->start(threads);
}

/// The same for the running loop. Throws also: RuntimeError if none runs.
template <class T>
Future<T> wrap_future(ThreadFuture<T>&& future) {
    return wrap_future(std::move(future), internal::running_loop("asyncio::wrap_future()"));
}

/// Returns a future or task of a loop as it is, so generic code may wrap anything.
template <internal::FutureLike Given>
Given wrap_future(Given future) {
    return future;
}

}  // namespace asyncio
