#pragma once
// The base of every task, whatever it returns: a coroutine that the loop runs step by step, and the
// state of its cancellation. `task.cpp` describes the steps and the course of a cancellation.
//
// A task is in one of four places, and one pair of links serves all of them:
//   queued   in the loop's ready queue, about to run
//   running  in no list; `here.task` points to it
//   parked   in no list, or in the list of what it waits for; `parked_` is the awaiter, whose hook
//            can end the wait
//   ended    in no list; the coroutine is gone, the result is in the future
// After it was woken and before it runs, a task is queued while `parked_` is still set: the hook
// then answers `too_late`.
//
// Cancellation is CPython's, with the same two counters. `requests_` counts the calls of `cancel()`
// that `uncancel()` has not taken back; scopes use it to tell their own requests from others.
// `must_cancel_` says that a request has not been delivered yet: it is thrown when the task next
// resumes from a wait. If there is no further wait, two cases differ. A task that has cancelled
// itself ends as cancelled, as in Python. A task that was cancelled while an operation brought it a
// result keeps what it has computed from that result.

#include <asyncio/internal/core/cancel_walk.h>
#include <asyncio/internal/loop/context_state.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/internal/machine/rethrow.h>
#include <asyncio/lowlevel/loop.h>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {
struct TaskOptions;
namespace lowlevel {
class Waiter;
}
}  // namespace asyncio

namespace asyncio::internal {

class CancelMask;
class FutureBase;
struct PromiseBase;

/// The promise behind a handle; null if it is not a promise of this library. Defined in coro.h,
/// which every coroutine of this library includes.
template <class Promise>
PromiseBase* promise_base(std::coroutine_handle<Promise> coroutine) noexcept;

/// What every step looks at lies together: `Ready`, which is the last base, and the first members.
/// With thousands of tasks, each line of the cache is a miss.
class TaskCore : public CancelRelay, public Resident, public Ready {
public:
    virtual FutureBase& future() noexcept = 0;
    lowlevel::Loop& loop() const noexcept { return loop_; }

    /// Requests that the task ends. `asked_under` is the mask under which the asking scope began;
    /// null for every other caller. A mask that began later holds the request back.
    bool cancel(std::string_view message, const CancelMask* asked_under = nullptr);
    /// The innermost mask; null if there is none.
    const CancelMask* mask() const noexcept { return mask_; }
    /// Takes away all masks, so that they hold nothing back any more. False if there are none. For
    /// the end of a run, when a cleanup would wait for ever.
    bool lift_masks() noexcept { return std::exchange(mask_, nullptr) != nullptr; }
    std::uint32_t cancelling() const noexcept { return requests_; }
    std::uint32_t uncancel() noexcept;

    /// A request to cancel has been made and not been delivered.
    bool must_cancel() const noexcept { return must_cancel_; }
    /// Delivers the request. Inlined, so that the throw stands in the waiting coroutine itself,
    /// which makes it quick (`rethrow.h`).
    [[noreturn, gnu::always_inline]] void throw_cancelled() { rethrow(cancellation_to_throw()); }
    /// Takes back a request that has not been delivered. The count of requests does not change.
    void withdraw() noexcept;
    /// The wait in progress has noted the request and will throw it at its end; the reason is kept
    /// for that.
    void leave_request_to_wait() noexcept { must_cancel_ = false; }
    /// The error that `throw_cancelled` would throw; the request counts as delivered.
    std::exception_ptr take_cancellation();

    /// Runs the first step at once, within the step of the task that creates this one. Where that
    /// is not possible (the loop does not run, or eager tasks create each other too deep for the
    /// stack), the first step stays scheduled.
    void start_eagerly() noexcept;

    /// Ends a task that has not begun, at once: its coroutine never runs.
    void discard() noexcept;

    /// Suspends the task at `coroutine`, where it waits for `waiter`. A request that is pending
    /// ends the wait at once.
    void park(lowlevel::Waiter& waiter, std::coroutine_handle<> coroutine, PromiseBase* promise) {
        point_ = coroutine;
        innermost_ = promise;
        parked_ = &waiter;
        if (must_cancel_) [[unlikely]]
            abort_wait();
    }
    /// Suspends at `coroutine`; the task is in the ready queue already.
    void yield(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
        point_ = coroutine;
        innermost_ = promise;
    }

    /// The awaiter at which the task is parked; null while the task runs, and when the wait was
    /// aborted.
    lowlevel::Waiter* parked() const noexcept { return parked_; }

    FutureBase* awaited(std::size_t index) const noexcept final;
    TaskCore* as_task() noexcept final { return this; }

    ContextRef& context() noexcept { return context_; }

    /// A number that no other task of the process has.
    std::uint64_t number() const noexcept { return number_; }
    std::string name() const;
    /// The name for reports, which must not fail: empty where there is no memory for it.
    std::string name_or_nothing() const noexcept;
    std::size_t write_name(std::span<char> text) const noexcept;
    void set_name(std::string_view name) { name_ = std::make_unique<std::string>(name); }

    /// The frame at which a task that is not running stands; null if it has not begun, and while it
    /// starts another task eagerly.
    const PromiseBase* innermost() const noexcept { return innermost_; }
    bool has_begun() const noexcept { return run != &first_step; }

protected:
    /// Schedules the first step. The derived class adds the loop's reference.
    TaskCore(lowlevel::Loop& loop, std::coroutine_handle<> outermost, const TaskOptions& options);
    virtual ~TaskCore() = default;

    /// The task has cancelled itself and then ended without another wait.
    bool ends_cancelled() const noexcept { return must_cancel_ && by_itself_; }

    /// The outermost coroutine has ended: takes its result, destroys its frame, completes the
    /// future.
    virtual void complete() noexcept = 0;
    /// The task was cancelled before its first step.
    virtual void complete_unstarted() noexcept = 0;

private:
    friend CancelMask;

    static void first_step(Ready& ready) noexcept;
    static void step(Ready& ready) noexcept;
    void run_step() noexcept;
    void run_watched() noexcept;
    void end(void (TaskCore::*completion)() noexcept) noexcept;
    FutureBase* receive(std::string_view message) noexcept final;
    FutureBase* answered(bool will_end, std::string_view message) noexcept final;
    bool answer() noexcept final;
    bool break_wait() noexcept final;
    FutureBase* request(std::string_view message, const CancelMask* asked_under) noexcept;
    void abort_wait() noexcept;
    FutureBase* abort_or_pass_on(std::string_view message) noexcept;
    [[gnu::cold]] std::exception_ptr& cancellation_to_throw();
    void hold_back(std::string_view message, const CancelMask* asked_under) noexcept;

    lowlevel::Loop& loop_;
    /// The coroutine at which the next step begins.
    std::coroutine_handle<> point_;
    /// The coroutine whose end is the end of the task.
    std::coroutine_handle<> outermost_;
    lowlevel::Waiter* parked_ = nullptr;
    /// The promise of the coroutine at `point_`, for the await tree; null where it is a foreign
    /// one.
    PromiseBase* innermost_ = nullptr;
    /// Calls of `cancel` without `uncancel`.
    std::uint32_t requests_ = 0;
    /// A request that was not delivered yet.
    bool must_cancel_ = false;
    /// The last request was made in the task's own step.
    bool by_itself_ = false;
    ContextRef context_;
    /// The innermost cleanup under a mask.
    CancelMask* mask_ = nullptr;
    /// Null: "Task-" and the number.
    std::unique_ptr<std::string> name_;
    std::uint64_t number_;
};

[[noreturn, gnu::cold]] void throw_no_task(const char* function);

/// The task whose step runs on this thread. Throws: RuntimeError if there is none; it names
/// `function`, which asks for it: "asyncio::sleep()".
inline TaskCore& running_task(const char* function) {
    if (here.task == nullptr) [[unlikely]]
        throw_no_task(function);
    return *here.task;
}

}  // namespace asyncio::internal
