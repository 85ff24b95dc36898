#pragma once
// The base of all awaiters that wait: the only way to suspend a task.
//
// An awaiter that can wait derives from `Waiter`. In `await_suspend` it first registers with its
// source, the object that will wake it, and then calls `park`. In `await_resume` it first calls
// `resumed`, which throws if the task was cancelled during the wait. The source wakes the task by
// `Loop::schedule(task())`, directly or as the target of a timer. Waiting allocates nothing,
// because the links of the lists are in the task.
//
// A cancellation reaches a parked task through the abort hook. The hook asks the source to let the
// task go, and returns one of three answers:
//   removed    nothing will wake the task any more, so the cancellation does, one iteration later
//   passed_on  what is awaited was asked to end (another task, a future); it will wake the task,
//   and the way in which it ends decides the rest too_late   the wake-up is on its way, or nothing
//   can be done: the request stays with the task,
//              and the next await that waits delivers it
// So a cancellation never loses a value that has arrived.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/task_core.h>

#include <coroutine>
#include <exception>
#include <string_view>

namespace asyncio::internal {
class WaitQueue;
}

namespace asyncio::lowlevel {

/// Derive an awaiter from it: see the top of the file.
class Waiter {
public:
    /// The answer of a hook to a request to cancel. The top of the file says what each means.
    enum class Abort : std::uint8_t { removed, passed_on, too_late };
    /// Called while the task is parked, when a request to cancel has come. `message` is the reason
    /// of the request, for a hook that passes the request on. The hook must not run the task.
    using AbortHook = Abort (*)(Waiter& waiter, std::string_view message) noexcept;

protected:
    Waiter() noexcept {}
    /// For an `internal::QueuedWaiter`, which stands in a line; see `internal::WaitQueue::abandon`.
    struct Queued {};
    explicit Waiter(Queued) noexcept : queued_(true) {}
    /// For an `internal::FutureWaiter`. A request to cancel goes to the awaited future, not to the
    /// hook.
    struct ForFuture {};
    explicit Waiter(ForFuture) noexcept : for_future_(true) {}

    /// The task that awaits. Throws: RuntimeError if the code does not run in a task. The message
    /// names `function`, the function that the program calls.
    internal::TaskCore& task(const char* function = "this awaitable") {
        if (task_ == nullptr) task_ = &internal::running_task(function);
        return *task_;
    }

    /// Suspends the task at `coroutine`. The waiter must have registered with its source before. A
    /// cancellation that is pending aborts the wait at once.
    template <class Promise>
    void park(std::coroutine_handle<Promise> coroutine, AbortHook hook) {
        hook_ = hook;
        task().park(*this, coroutine, internal::promise_base(coroutine));
    }

    /// Suspends the task at `coroutine` for one iteration of the loop.
    template <class Promise>
    void yield(std::coroutine_handle<Promise> coroutine) {
        internal::TaskCore& self = task();
        internal::here.loop->schedule(self);
        self.yield(coroutine, internal::promise_base(coroutine));
    }

    /// The first call on resumption. Throws: CancelledError if the wait was aborted, or if a
    /// request is pending. Inlined, because a throw is quick if it stands in the coroutine that
    /// catches it (`internal/machine/rethrow.h`).
    [[gnu::always_inline]] void resumed() {
        if (task_ != nullptr && (interrupted_ || task_->must_cancel())) [[unlikely]]
            task_->throw_cancelled();
    }

    /// The same for a wait that has an effect if it was not aborted, like taking an item. A request
    /// that came later stays pending, and the effect is returned.
    [[gnu::always_inline]] void resumed_with_effect() {
        if (interrupted_) [[unlikely]]
            task_->throw_cancelled();
    }

    /// As `resumed`, but returns the CancelledError as a value; null if there is none. For
    /// `settle`.
    std::exception_ptr resumed_quietly() {
        if (task_ != nullptr && (interrupted_ || task_->must_cancel())) [[unlikely]]
            return task_->take_cancellation();
        return nullptr;
    }

    /// As `resumed_with_effect`, but returns the CancelledError as a value.
    std::exception_ptr interrupted_quietly() {
        if (interrupted_) [[unlikely]]
            return task_->take_cancellation();
        return nullptr;
    }

    /// Whether the task has waited, or was about to.
    bool parked() const noexcept { return task_ != nullptr; }
    /// Whether the wait was aborted: the cancellation has woken the task, not the source.
    bool interrupted() const noexcept { return interrupted_; }

    /// A hook for sources that cannot let a task go, or that wake it in the next iteration in any
    /// case.
    static Abort cannot_abort(Waiter&, std::string_view) noexcept { return Abort::too_late; }

private:
    friend internal::TaskCore;
    friend internal::WaitQueue;

    /// Set by the first call of `task()`; null if the await never had to wait.
    internal::TaskCore* task_ = nullptr;
    /// Set by `park`, and not before: an await that need not wait does not pay for it.
    AbortHook hook_;
    /// The cancellation has woken the task: the hook has answered `removed`, or a circle of waits
    /// was opened at this task.
    bool interrupted_ = false;
    /// This is an `internal::QueuedWaiter`.
    bool queued_ = false;
    /// This is an `internal::FutureWaiter`.
    bool for_future_ = false;
};

}  // namespace asyncio::lowlevel
