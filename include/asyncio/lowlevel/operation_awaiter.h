#pragma once
// Awaiting one operation of the back-end: the only place where a task uses the kernel.
//
// The operation lives in the awaiter, and so in the frame of the coroutine that awaits. The
// back-end owns it from the submission to the report, so a cancellation must not resume the task
// before the report. The abort hook asks the back-end to end the operation and answers "too late";
// the task stays parked, and the report decides:
//   −ECANCELED      the operation has had no effect: CancelledError, also if the request was taken
//                   back in the meantime
//   anything else   the operation has taken place, or has failed by itself: the result is returned,
//                   and a request that is still pending is delivered by the next await that waits
// So no effect of the kernel is lost.
//
// An operation that finishes in `submit` does not suspend the task. A task that always finds its
// data there would never let another task run. So there is a budget of
// `immediate_finishes_before_yield` such operations, and the task that uses it up yields once.
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/operation.h>
#include <asyncio/lowlevel/waiter.h>

#include <cerrno>
#include <coroutine>
#include <cstdint>
#include <string_view>

namespace asyncio::lowlevel {

/// How many operations may finish without a suspension before the task has to yield.
inline constexpr std::uint32_t immediate_finishes_before_yield = 32;

/// Counts an operation that finished at once. Returns true if the budget is used up: the task
/// should yield.
///
/// There is one count for the thread, not one for each task. Any regular suspension is fair to the
/// other tasks, and a suspension that comes a little early costs almost nothing.
inline bool must_yield() noexcept {
    std::uint32_t& finishes = internal::here.immediate_finishes;
    if (++finishes < immediate_finishes_before_yield) [[likely]]
        return false;
    finishes = 0;
    return true;
}

/// The base of awaiters that wait for one operation. A derived class fills in the operation, starts
/// it in `await_ready`, and turns `result()` into its own result in `await_resume`.
class OperationAwaiter : public Waiter {
public:
    OperationAwaiter(const OperationAwaiter&) = delete;
    OperationAwaiter& operator=(const OperationAwaiter&) = delete;

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        suspend(coroutine, &abort);
    }

protected:
    /// Lets `on_finished`, which is given only the operation, find the awaiter.
    struct OwnOperation : Operation {
        OperationAwaiter* awaiter = nullptr;
    };

    OperationAwaiter() noexcept {
        operation_.awaiter = this;
        operation_.on_finished = &finished;
    }

    /// Hands the operation to the back-end. Returns true if it has finished and the task continues
    /// at once; false if the task has to suspend, for the operation or in order to yield.
    /// Throws: RuntimeError if the code does not run in a task. The message names `function`.
    bool start(const char* function = "this awaitable") {
        if (task(function).loop().submit(operation_) == Backend::Submitted::in_flight) return false;
        return !must_yield();
    }

    /// Suspends the task until the operation is reported. `hook` is called for a cancellation.
    template <class Promise>
    void suspend(std::coroutine_handle<Promise> coroutine, AbortHook hook) {
        if (operation_.state == Operation::State::in_flight) {
            park(coroutine, hook);
        } else {
            // The operation has finished within its submission, and the budget is used up.
            yield(coroutine);
        }
    }

    /// For abort hooks: notes that the task asks for the early end of the operation. False if the
    /// operation has been reported. The task is then in the ready queue, and the result is
    /// returned.
    bool wants_early_end() noexcept {
        if (operation_.state != Operation::State::in_flight) return false;
        cancel_requested_ = true;
        return true;
    }

    /// ≥ 0, or −errno. Throws: CancelledError if the task's cancellation ended the operation.
    int result() {
        if (operation_.result == -ECANCELED && cancel_requested_) [[unlikely]]
            task().throw_cancelled();
        return operation_.result;
    }

    /// Makes the task ready. For derived classes that set an `on_finished` of their own.
    void wake() noexcept { task().loop().schedule(task()); }

    OwnOperation operation_;

private:
    static void finished(Operation& operation) noexcept {
        static_cast<OwnOperation&>(operation).awaiter->wake();
    }

    static Abort abort(Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<OperationAwaiter&>(waiter);
        if (self.wants_early_end()) self.task().loop().cancel(self.operation_);
        return Abort::too_late;
    }

    /// The abort hook has asked the back-end to end the operation, so −ECANCELED means a
    /// cancellation of the task.
    bool cancel_requested_ = false;
};

/// The awaiter of `perform`.
class PerformAwaiter final : public OperationAwaiter {
public:
    explicit PerformAwaiter(const OperationRequest& request) noexcept {
        static_cast<OperationRequest&>(operation_) = request;
    }
    bool await_ready() { return start("lowlevel::perform()"); }
    int await_resume() { return result(); }
};

/// The return type of `perform`.
using Perform = Awaiting<PerformAwaiter, OperationRequest>;

/// Carries out one operation: `int ready = co_await perform({.fd = fd, .events = POLLIN})`. What
/// the request points to must live until the await returns, also when the task is cancelled.
///
/// Returns: the result, ≥ 0 or −errno; it does not throw for the operation's own failure.
/// Throws: RuntimeError if it is not awaited in a task.
/// Cancellation: a cancellation point if it must wait. If the operation has taken place in spite of
/// the request, its result is returned and the request stays pending.
/// Thread-safety: loop thread only.
inline Perform perform(const OperationRequest& request) noexcept { return Perform(request); }

/// The awaiter of `perform_in_place`.
class PerformInPlaceAwaiter final : public OperationAwaiter {
public:
    explicit PerformInPlaceAwaiter(OperationRequest& request) noexcept : request_(request) {
        static_cast<OperationRequest&>(operation_) = request;
    }
    bool await_ready() { return start("lowlevel::perform_in_place()"); }
    int await_resume() {
        request_.size = operation_.size;
        return result();
    }

private:
    OperationRequest& request_;
};

/// The return type of `perform_in_place`.
using PerformInPlace = Awaiting<PerformInPlaceAwaiter, OperationRequest&>;

/// As `perform`, for the kinds that write a length: afterwards it stands in `request.size`. The
/// request must live until the await returns.
inline PerformInPlace perform_in_place(OperationRequest& request) noexcept {
    return PerformInPlace(request);
}

}  // namespace asyncio::lowlevel
