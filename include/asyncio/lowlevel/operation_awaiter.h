#pragma once
// Awaiting one operation of the back-end: the one place where a task meets the kernel.
//
// The operation lives in the awaiter, and so in the frame of the coroutine that awaits. The
// back-end owns it from the submission to the report, therefore a cancellation never frees the
// frame: the abort hook asks the back-end to end the operation and answers "too late", the task
// stays parked, and what is reported decides:
//   −ECANCELED      the operation has had no effect: CancelledError, also if the request was taken
//                   back in the meantime
//   anything else   it took place, or failed by itself: that is returned, and a request that is
//                   still pending is delivered by the next await that waits
// So what the kernel has done is never lost.
//
// An operation that finishes in `submit` does not suspend the task. A task that always finds its
// data there would never let another one run, so after `immediate_finishes_per_turn` of them the
// one that finds the budget spent yields once.
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

/// How many operations may finish without a suspension before one is put in.
inline constexpr std::uint32_t immediate_finishes_per_turn = 32;

/// Counts an operation that finished at once. True if the task has had its share: let it yield.
///
/// One count for the thread, not one for each task: any suspension at all would do to be fair, and
/// one that comes a little early costs next to nothing.
inline bool turn_is_over() noexcept {
    std::uint32_t& finishes = internal::here.immediate_finishes;
    if (++finishes < immediate_finishes_per_turn) [[likely]]
        return false;
    finishes = 0;
    return true;
}

/// The awaiter. What is derived from it fills in the operation, starts it in `await_ready`, and
/// turns `result()` into what it wants to give in `await_resume`.
class OperationAwaiter : public Waiter {
public:
    OperationAwaiter(const OperationAwaiter&) = delete;
    OperationAwaiter& operator=(const OperationAwaiter&) = delete;

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        if (operation_.state == Operation::State::in_flight) {
            park(coroutine, &abort);
        } else {
            yield(coroutine);
        }
    }

protected:
    /// Lets `on_finished`, which knows the operation alone, find its awaiter.
    struct OwnOperation : Operation {
        OperationAwaiter* awaiter = nullptr;
    };

    OperationAwaiter() noexcept {
        operation_.awaiter = this;
        operation_.on_finished = &finished;
    }

    /// Hands the operation to the back-end. True if it has finished and the task goes on at once.
    /// Throws: RuntimeError if the code does not run in a task; it names `function`.
    bool start(const char* function = "this awaitable") {
        if (task(function).loop().submit(operation_) == Backend::Submitted::in_flight) return false;
        return !turn_is_over();
    }

    /// ≥ 0, or −errno. Throws: CancelledError if the task's cancellation ended the operation.
    int result() {
        if (operation_.result == -ECANCELED && cancel_requested_) [[unlikely]]
            task().throw_cancelled();
        return operation_.result;
    }

    /// Makes the task ready. For those who set an `on_finished` of their own.
    void wake() noexcept { task().loop().schedule(task()); }

    OwnOperation operation_;

private:
    static void finished(Operation& operation) noexcept {
        static_cast<OwnOperation&>(operation).awaiter->wake();
    }

    static Abort abort(Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<OperationAwaiter&>(waiter);
        // Reported, and about to be resumed: what it achieved is returned.
        if (self.operation_.state != Operation::State::in_flight) return Abort::too_late;
        self.cancel_requested_ = true;
        self.task().loop().cancel(self.operation_);
        return Abort::too_late;
    }

    bool cancel_requested_ = false;
};

/// One operation, as its caller describes it.
struct OperationRequest {
    OperationKind kind = OperationKind::poll;
    int fd = -1;
    std::int16_t events = 0;
    /// Must live until the await returns, also when it is cancelled.
    void* buffer = nullptr;
    std::size_t size = 0;
};

class PerformAwaiter final : public OperationAwaiter {
public:
    explicit PerformAwaiter(const OperationRequest& request) noexcept {
        operation_.kind = request.kind;
        operation_.fd = request.fd;
        operation_.events = request.events;
        operation_.buffer = request.buffer;
        operation_.size = request.size;
    }
    bool await_ready() { return start("lowlevel::perform()"); }
    int await_resume() { return result(); }
};

/// What `perform` returns.
using Perform = Awaiting<PerformAwaiter, OperationRequest>;

/// Carries out one operation: `int ready = co_await perform({.fd = fd, .events = POLLIN})`.
///
/// Returns: the result, ≥ 0 or −errno; it does not throw for the operation's own failure.
/// Throws: RuntimeError if it is not awaited in a task.
/// Cancellation: a cancellation point if it must wait; if the operation took place all the same,
/// its result is returned and the request stays pending.
/// Thread-safety: loop thread only.
inline Perform perform(const OperationRequest& request) noexcept { return Perform(request); }

}  // namespace asyncio::lowlevel
