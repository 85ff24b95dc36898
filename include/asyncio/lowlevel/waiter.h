#pragma once
// The only way to suspend a task.
//
// An awaiter that can wait derives from `Waiter`. In `await_suspend` it first registers with
// whatever will wake it, then calls `park`; in `await_resume` it first calls `resumed`, which
// throws if the task was cancelled meanwhile. Waking is `EventLoop::schedule(task())`, directly or
// as the target of a timer. Nothing is allocated: the links are the task's.
//
// A cancellation reaches a parked task through the abort hook. The hook asks the source to let go
// and answers what came of it:
//   removed    nothing will wake the task any more, so the cancellation does, one iteration later
//   passed_on  what is awaited was asked to end (another task, a future); it will wake the task,
//              and how it ends tells the rest
//   too_late   the wake-up is on its way, or nothing can be done: the request stays with the task,
//              and the next await that waits delivers it
// So a value that has arrived is never lost to a cancellation.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/event_loop.h>
#include <asyncio/internal/task_core.h>

#include <coroutine>
#include <exception>
#include <string_view>

namespace asyncio::internal {
class WaitQueue;
}

namespace asyncio::lowlevel {

class Waiter {
public:
    enum class Abort : std::uint8_t { removed, passed_on, too_late };
    using AbortHook = Abort (*)(Waiter& waiter, std::string_view message) noexcept;

protected:
    Waiter() noexcept {}
    /// For a waiter that stands in a line; see `internal::WaitQueue::abandon`.
    struct Queued {};
    explicit Waiter(Queued) noexcept : queued_(true) {}
    /// For an `internal::FutureWaiter`. A request to cancel asks what it waits for, not its hook.
    struct ForFuture {};
    explicit Waiter(ForFuture) noexcept : for_future_(true) {}

    /// The task that awaits. Throws: RuntimeError if the code does not run in a task; it names
    /// `function`, which is what the program calls.
    internal::TaskCore& task(const char* function = "this awaitable") {
        if (task_ == nullptr) task_ = &internal::running_task(function);
        return *task_;
    }

    /// Suspends the task at `coroutine`. Whoever is to wake it must be told before. A cancellation
    /// that is pending aborts the wait at once.
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

    /// To be called first on resumption. Throws CancelledError if the wait was aborted, or a
    /// request is pending. Inlined, so that the throw is the coroutine's own, which makes it quick.
    [[gnu::always_inline]] void resumed() {
        if (task_ != nullptr && (interrupted_ || task_->must_cancel())) [[unlikely]]
            task_->throw_cancelled();
    }

    /// The same for a wait that has had an effect when it was not aborted: a request that is merely
    /// pending stays so, and the effect is returned.
    [[gnu::always_inline]] void resumed_with_effect() {
        if (interrupted_) [[unlikely]]
            task_->throw_cancelled();
    }

    /// As `resumed`, for those who pass the cancellation on as a value; null if there is none.
    std::exception_ptr resumed_quietly() {
        if (task_ != nullptr && (interrupted_ || task_->must_cancel())) [[unlikely]]
            return task_->take_cancellation();
        return nullptr;
    }

    /// As `resumed_with_effect`, in the same way.
    std::exception_ptr interrupted_quietly() {
        if (interrupted_) [[unlikely]]
            return task_->take_cancellation();
        return nullptr;
    }

    bool parked() const noexcept { return task_ != nullptr; }
    /// The wait was aborted: what is waited for did not wake the task.
    bool interrupted() const noexcept { return interrupted_; }

    /// For a hook of a source that always wakes by itself, in the next iteration.
    static Abort cannot_abort(Waiter&, std::string_view) noexcept { return Abort::too_late; }

private:
    friend internal::TaskCore;
    friend internal::WaitQueue;

    internal::TaskCore* task_ = nullptr;
    AbortHook hook_;
    /// Set when the hook has answered `removed`.
    bool interrupted_ = false;
    /// This is an `internal::QueuedWaiter`.
    bool queued_ = false;
    bool for_future_ = false;
};

}  // namespace asyncio::lowlevel

// Behind the class, which it uses: what adapts awaiters that do not derive from it.
#include <asyncio/internal/foreign.h>  // IWYU pragma: keep
