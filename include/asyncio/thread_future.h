#pragma once
// Handing a coroutine to a loop from another thread: `run_coroutine_threadsafe`.
//
//   asyncio::ThreadFuture<int> answer = asyncio::run_coroutine_threadsafe(ask(), loop);
//   int number = answer.get();   // blocks this thread, not the loop's
//
// What happens on one side crosses to the other: the result, the error, and in both directions the
// cancellation. Whoever comes first wins; the other side's end is dropped.
//
// Thread-safety: any thread, but one at a time for one handle.

#include <asyncio/internal/loop_threads.h>
#include <asyncio/internal/thread_event.h>
#include <asyncio/task.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace asyncio {
namespace internal {

/// What both sides share, whatever the coroutine returns. Each side holds one reference.
///
/// `is_done_` changes once, under the mutex; who changes it has the say about how this ends.
class ThreadCall : private Ready {
public:
    ThreadCall(const ThreadCall&) = delete;
    ThreadCall& operator=(const ThreadCall&) = delete;

    // The thread's side.

    bool done() const noexcept { return ended_.is_set(); }
    bool wait_until(TimePoint deadline);
    bool cancel() noexcept;
    void release() noexcept;

    /// Begins. Throws: RuntimeError if the loop is closed.
    void send();

protected:
    explicit ThreadCall(EventLoop& loop) noexcept;
    virtual ~ThreadCall() = default;

    // The loop's side.

    /// Makes the task and tells it to run `*this` at its end. May throw.
    virtual FutureBase& start_task(EventLoop& loop) = 0;
    /// The coroutine is not needed any more, or never was.
    virtual void drop_given() noexcept = 0;
    /// Takes the result out of the task, and lets go of that.
    virtual void take_result() noexcept = 0;
    virtual void fail(std::exception_ptr error) noexcept = 0;

    /// Whether the thread's handle is there to see the result.
    bool is_awaited() const noexcept { return references_.load(std::memory_order_acquire) > 1; }
    /// Tells of an error that nobody has asked for. Any thread.
    static void report_unseen(const std::exception_ptr& error) noexcept;
    /// With the result in place. False if a cancellation came first.
    bool claim_end() noexcept;

private:
    static void start(Ready& node) noexcept;
    static void task_ended(Ready& node) noexcept;
    static void cancel_task(Ready& node) noexcept;
    void refuse(std::exception_ptr error) noexcept;
    void require_other_thread() const;

    struct CancelRequest : Ready {
        ThreadCall* call = nullptr;
    };

    EventLoop& loop_;
    /// The task's, while it runs.
    FutureBase* future_ = nullptr;
    CancelRequest cancel_request_;
    mutable std::mutex mutex_;
    /// Null until the loop has seen the call.
    std::shared_ptr<LoopGate> gate_;
    bool is_done_ = false;
    ThreadEvent ended_;
    std::atomic<std::uint32_t> references_{2};
};

template <class Given>
class ThreadCallOf final : public ThreadCall {
public:
    using Result = AwaitResult<Given>;

    ThreadCallOf(EventLoop& loop, Given&& given) : ThreadCall(loop), given_(std::move(given)) {}

    ~ThreadCallOf() override {
        // Whoever has taken the error has left none.
        if (outcome_.failed() && !outcome_.cancelled() && outcome_.error() != nullptr)
            report_unseen(outcome_.error());
    }

    Outcome<Result>& outcome() noexcept { return outcome_; }

private:
    FutureBase& start_task(EventLoop& loop) override {
        if constexpr (is_coro<Given>) {
            task_ = loop.create_task(std::move(*given_));
        } else {
            task_ = loop.create_task(as_coroutine<Given>(std::move(*given_)));
        }
        return *task_.state();
    }
    void drop_given() noexcept override { given_.reset(); }
    void take_result() noexcept override {
        // An error nobody waits for is left with the task, which reports it.
        Task<Result> task = std::move(task_);
        if (!is_awaited()) return;
        Outcome<Result> outcome;
        try {
            outcome = task.state()->take();
        } catch (...) {
            outcome.fail(std::current_exception());
        }
        task = {};
        if (!claim_end()) return;
        outcome_ = std::move(outcome);
    }
    void fail(std::exception_ptr error) noexcept override { outcome_.fail(std::move(error)); }

    std::optional<Given> given_;
    Task<Result> task_;
    Outcome<Result> outcome_;
};

}  // namespace internal

/// The result of a coroutine that runs on a loop of another thread.
///
/// Dropping the handle changes nothing for the coroutine. An error nobody asks for is reported, to
/// the exception handler of the loop or, where the loop may be gone, to the log.
/// Python: the `concurrent.futures.Future` that `asyncio.run_coroutine_threadsafe` returns.
template <class T>
class [[nodiscard]] ThreadFuture {
public:
    template <class Given>
    explicit ThreadFuture(internal::ThreadCallOf<Given>& call) noexcept
        : call_(&call), outcome_(&call.outcome()) {}
    ThreadFuture(ThreadFuture&& other) noexcept
        : call_(std::exchange(other.call_, nullptr)), outcome_(other.outcome_) {}
    ThreadFuture& operator=(ThreadFuture&& other) noexcept {
        std::swap(call_, other.call_);
        std::swap(outcome_, other.outcome_);
        return *this;
    }
    ~ThreadFuture() {
        if (call_ != nullptr) call_->release();
    }

    /// Whether there is a result, an error, or a cancellation.
    bool done() const noexcept { return call_->done(); }
    /// Whether it ended as cancelled, from either side.
    bool cancelled() const noexcept { return done() && outcome_->cancelled(); }

    /// Blocks the thread until it is done.
    /// Throws: RuntimeError on the loop's own thread, which would wait for itself.
    void wait() { call_->wait_until(internal::never); }
    /// The same for at most `limit`. Whether it is done.
    bool wait_for(Duration limit) {
        return call_->wait_until(internal::add_saturating(Clock::now(), limit));
    }

    /// Blocks until it is done; gives the value away. Call it once.
    /// Throws: what the coroutine threw; CancelledError if either side was cancelled; as `wait`.
    /// Python: `result()`.
    T get() {
        wait();
        return outcome_->last_value();
    }
    /// The same. Throws also: TimeoutError if it is not done within `limit`, and goes on.
    T get(Duration limit) {
        if (!wait_for(limit)) throw TimeoutError();
        return outcome_->last_value();
    }

    /// Ends the waiting at once with a CancelledError, and asks the coroutine to end. False if it
    /// is done.
    bool cancel() noexcept { return call_->cancel(); }

private:
    internal::ThreadCall* call_;
    Outcome<T>* outcome_;
};

/// Has `coroutine` (or anything that can be awaited) run as a task of `loop`, which runs on another
/// thread, or will.
///
/// Lifetime: `loop` must not be destroyed during the call; afterwards it may close at any time, and
/// a coroutine that has not ended then is cancelled.
/// Throws: RuntimeError if the loop is closed.
/// Thread-safety: any thread.
/// Python: `asyncio.run_coroutine_threadsafe`.
template <class Awaitable>
auto run_coroutine_threadsafe(Awaitable&& coroutine, EventLoop& loop) {
    using Given = std::decay_t<Awaitable>;
    static_assert(!internal::FutureLike<Given>, "a future belongs to its loop's thread");
    static_assert(!std::is_lvalue_reference_v<Awaitable>,
                  "what is awaited goes to another thread: hand it over with std::move");
    using Call = internal::ThreadCallOf<Given>;
    auto* call = new Call(loop, std::forward<Awaitable>(coroutine));
    ThreadFuture<typename Call::Result> future(*call);
    call->send();
    return future;
}

}  // namespace asyncio
