#pragma once
// The object that two sides share when one of them waits on a thread: the end of something that
// happens elsewhere, and the side that waits for it.
//
// Each side holds a reference. `is_done_` changes once, under the mutex. The side that changes it
// decides how this ends, writes the outcome, and announces it. After the announcement the outcome
// belongs to the side that waits.
//
// Thread-safety: any thread, but one at a time for each side.

#include <asyncio/internal/base/thread_event.h>
#include <asyncio/internal/executors/loop_threads.h>
#include <asyncio/task.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace asyncio::internal {

/// The part that does not depend on the type of the result: the decision about the end, and the
/// wait for it.
class ThreadEnd {
public:
    ThreadEnd(const ThreadEnd&) = delete;
    ThreadEnd& operator=(const ThreadEnd&) = delete;

    /// Asks the event, and not `is_done_`: the end is decided before the outcome is in place.
    bool done() const noexcept { return ended_.is_set(); }
    bool cancelled() const noexcept { return done() && is_cancelled_; }
    bool wait_until(TimePoint deadline);
    /// Ends it as cancelled, at once. False if it is done.
    virtual bool cancel() noexcept;
    /// Runs `job` at the end, on the thread that ends it; at once, on this thread, if it has ended.
    /// At most one job.
    void at_end(WorkerJob& job) noexcept;

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept;

protected:
    explicit ThreadEnd(std::uint32_t references) noexcept : references_(references) {}
    virtual ~ThreadEnd() = default;

    /// Writes an error as the outcome. The caller has claimed the end.
    virtual void fail(std::exception_ptr error) noexcept = 0;
    /// Throws: RuntimeError if this thread would wait for itself.
    virtual void require_other_thread() const {}

    /// Whether the other side still exists and could see the result.
    bool is_awaited() const noexcept { return references_.load(std::memory_order_acquire) > 1; }
    /// False if another caller was first.
    bool claim_end() noexcept;
    /// Called by the side that has claimed the end, when the outcome is in place.
    void announce_end() noexcept;

    /// Reports an error that the program has not asked for. Any thread.
    static void report_unseen(const std::exception_ptr& error) noexcept;

    mutable std::mutex mutex_;
    /// The end has been claimed. Under the mutex.
    bool is_done_ = false;
    bool is_cancelled_ = false;

private:
    /// The job to run at the end; null if there is none. Under the mutex.
    WorkerJob* at_end_ = nullptr;
    ThreadEvent ended_;
    /// A reference for each side, and one for each request that is on its way.
    std::atomic<std::uint32_t> references_;
};

/// The outcome. A template over its base, because a call and a promise have different bases and the
/// same outcome.
template <class T, class Base = ThreadEnd>
class ThreadEndOf : public Base {
public:
    /// For the side that waits, once this is done: from then on no other thread touches it.
    Outcome<T>& outcome() noexcept { return outcome_; }

    /// False if another caller was first; the outcome is dropped then.
    bool end(Outcome<T>&& outcome) noexcept {
        if (!this->claim_end()) return false;
        try {
            outcome_ = std::move(outcome);
        } catch (...) {
            outcome_.fail(std::current_exception());
        }
        this->is_cancelled_ = outcome_.cancelled();
        this->announce_end();
        return true;
    }

protected:
    using Base::Base;
    ~ThreadEndOf() override {
        // An error that was taken is not here any more.
        if (outcome_.failed() && !outcome_.cancelled() && outcome_.error() != nullptr)
            this->report_unseen(outcome_.error());
    }

private:
    void fail(std::exception_ptr error) noexcept final {
        outcome_.fail(std::move(error));
        this->is_cancelled_ = outcome_.cancelled();
    }

    Outcome<T> outcome_;
};

/// A coroutine that is sent to a loop of another thread and runs there.
class ThreadCall : public ThreadEnd, private Ready {
public:
    /// Sends the call to the loop. Throws: RuntimeError if the loop is closed.
    void send();

    /// Ends this at once, and asks the task to end on its own thread, which it may do later.
    bool cancel() noexcept final;

protected:
    explicit ThreadCall(std::shared_ptr<LoopGate> gate) noexcept;

    // The loop's side.

    /// Makes the task. May throw.
    virtual FutureBase& start_task(EventLoop& loop) = 0;
    /// Drops the coroutine, which is not needed any more.
    virtual void drop_given() noexcept = 0;
    /// Moves the result out of the task, and drops the task.
    virtual void take_result() noexcept = 0;

private:
    static void start(Ready& node) noexcept;
    static void task_ended(Ready& node) noexcept;
    static void cancel_task(Ready& node) noexcept;
    void refuse(std::exception_ptr error) noexcept;
    bool was_cancelled_before() noexcept;
    void require_other_thread() const final;

    /// A node of its own, because the call's node may stand in the list of the task's future.
    struct CancelRequest : Ready {
        ThreadCall* call = nullptr;
    };

    const std::shared_ptr<LoopGate> gate_;
    /// The future of the task, while the task runs. Loop thread only.
    FutureBase* future_ = nullptr;
    CancelRequest cancel_request_;
    /// There is a task to which a cancellation can be passed on. Under the mutex.
    bool has_task_ = false;
};

template <class Given>
class ThreadCallOf final : public ThreadEndOf<AwaitResult<Given>, ThreadCall> {
public:
    using Result = AwaitResult<Given>;

    ThreadCallOf(std::shared_ptr<LoopGate> gate, Given&& given)
        : ThreadEndOf<Result, ThreadCall>(std::move(gate)), given_(std::move(given)) {}

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
        // An error that no thread waits for is left to the task, which reports it.
        Task<Result> task = std::move(task_);
        if (!this->is_awaited()) return;
        Outcome<Result> outcome;
        try {
            outcome = task.state()->take();
        } catch (...) {
            outcome.fail(std::current_exception());
        }
        // The task is dropped before the thread is woken, so that what the coroutine held is gone
        // when the waiting thread continues.
        task = {};
        this->end(std::move(outcome));
    }

    /// The coroutine on its way to the loop; empty once it is a task.
    std::optional<Given> given_;
    Task<Result> task_;
};

/// The state of a ThreadPromise, which the program ends by hand.
template <class T>
class ThreadPromiseState final : public ThreadEndOf<T> {
public:
    ThreadPromiseState() noexcept : ThreadEndOf<T>(1) {}

    /// The promise was destroyed without a result.
    void drop() noexcept {
        if (!this->done() && this->is_awaited())
            this->end(Outcome<T>::failure(
                error_with<RuntimeError>("a ThreadPromise was destroyed before it had a result")));
        this->release();
    }
};

}  // namespace asyncio::internal
