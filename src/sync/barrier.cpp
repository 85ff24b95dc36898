// A barrier, seen from a waiter that is woken: the barrier has opened, or the waiter must leave
// with an error, or it waits again.
//
// The barrier has one line for all waiters, whatever they wait for: tasks inside wait for the
// barrier to open, tasks outside wait until the previous round has drained. Every change of the
// state wakes all of them, and each node looks at its turn (`look_again`) whether the change
// concerns it. If it does not, the node goes back into the line, and its task has not run. CPython
// builds the same on a Condition and its `wait_for`, and the order of events is the same.
//
// A round, for a barrier of n parties:
// 1. While the barrier fills, a task that comes counts itself in (`arrive`) and waits. The count is
//    also the index it will return.
// 2. The n-th task sets `draining`, wakes all, and continues at once.
// 3. Each of the others leaves at its turn and counts itself out (`leave_barrier`). A task that
//    comes now must wait outside: it belongs to the next round.
// 4. The last one that leaves sets `filling` again and wakes the tasks outside, which arrive at
//    their turn, in the order in which they came.
//
// `reset` makes the tasks inside leave with an error: the state is `resetting` until the last of
// them has left, and then `filling`. `abort` does so too, but the state stays `broken`, and tasks
// that come are refused, until a `reset`.
//
// A waiter may be woken, and the barrier destroyed before its turn. The state of the barrier
// decides at that moment how the wait ends, so `settle` writes the answer into the awaiter, which
// does not touch the barrier again.

#include <asyncio/barrier.h>

#include <stdexcept>

namespace asyncio {
namespace internal {

BarrierAwaiter::BarrierAwaiter(Barrier& barrier) noexcept : barrier_(barrier) { run = &look_again; }

bool BarrierAwaiter::await_ready() noexcept { return !must_wait(); }

/// A cancelled waiter must run, to leave the barrier and to throw.
void BarrierAwaiter::look_again(Ready& node) noexcept {
    auto& self = static_cast<BarrierAwaiter&>(node);
    if (self.cancelled() || !self.must_wait()) return run_task(node);
    self.leave();
    self.barrier_.waiting_.wait_again(self);
}

/// Takes every step that the state of the barrier allows, and says whether a wait is left. The
/// first call comes from `await_ready`, so a task that need not wait costs no iteration.
bool BarrierAwaiter::must_wait() noexcept {
    using State = Barrier::State;
    const State& state = barrier_.state_;
    if (stage_ == Stage::outside) {
        if (state == State::draining || state == State::resetting) return true;
        arrive();
    }
    return stage_ == Stage::inside && state == State::filling;
}

/// The task that completes the barrier does not wait, as in Python: it continues in the same step,
/// before the tasks that it has woken.
void BarrierAwaiter::arrive() noexcept {
    if (barrier_.broken()) {
        stage_ = Stage::refused;
        return;
    }
    stage_ = Stage::inside;
    index_ = barrier_.inside_++;
    if (barrier_.inside_ < barrier_.parties_) return;
    barrier_.state_ = Barrier::State::draining;
    barrier_.waiting_.wake_all();
}

/// Every way out of a round comes through here, also that of a cancelled task. A cancelled task
/// leaves one place free; the barrier is not broken, as in Python, and waits for one more.
void BarrierAwaiter::leave_barrier() noexcept {
    using State = Barrier::State;
    if (--barrier_.inside_ > 0) return;
    if (barrier_.state_ != State::broken) barrier_.state_ = State::filling;
    barrier_.waiting_.wake_all();
}

/// True if a CancelledError is to be thrown.
bool BarrierAwaiter::end_wait() noexcept {
    leave();
    return cancelled();
}

/// The barrier is being destroyed: writes into a woken waiter how its wait ends. True if the wait
/// ends; false if the waiter has to wait on, until it is cancelled.
bool BarrierAwaiter::settle(QueuedWaiter& waiter) noexcept {
    auto& self = static_cast<BarrierAwaiter&>(waiter);
    if (self.stage_ == Stage::outside) {
        if (self.barrier_.broken()) self.stage_ = Stage::refused;
    } else if (self.stage_ == Stage::inside && self.must_fail()) {
        self.stage_ = Stage::dismissed;
    }
    return self.stage_ != Stage::outside && self.barrier_.state_ != Barrier::State::filling;
}

bool BarrierAwaiter::must_fail() const noexcept {
    using State = Barrier::State;
    return barrier_.state_ == State::broken || barrier_.state_ == State::resetting;
}

Outcome<std::size_t> BarrierAwaiter::take_outcome() {
    const bool is_cancelled = parked() && end_wait();
    if (!parked() || !detached()) {
        // The state is read first: the last task that leaves a barrier in reset changes the state
        // to `filling`. Only a task that was inside gets the error.
        const bool is_broken = must_fail();
        if (stage_ == Stage::inside) leave_barrier();
        if (is_broken && stage_ == Stage::inside) stage_ = Stage::dismissed;
    }
    Outcome<std::size_t> outcome;
    if (is_cancelled) {
        outcome.fail(task().take_cancellation());
    } else if (stage_ == Stage::refused || stage_ == Stage::dismissed) {
        outcome.fail(std::make_exception_ptr(BrokenBarrierError(
            stage_ == Stage::refused ? "the barrier is broken" : "the barrier was reset")));
    } else {
        outcome.emplace(index_);
    }
    return outcome;
}

}  // namespace internal

Barrier::Barrier(std::ptrdiff_t parties) : parties_(static_cast<std::size_t>(parties)) {
    if (parties < 1) throw std::invalid_argument("a barrier needs at least one party");
}

/// If no task is inside there is nothing to drain, and the barrier can be used again at once, also
/// a broken one.
void Barrier::reset() {
    waiting_.check_thread();
    state_ = inside_ > 0 ? State::resetting : State::filling;
    waiting_.wake_all();
}

void Barrier::abort() {
    waiting_.check_thread();
    state_ = State::broken;
    waiting_.wake_all();
}

}  // namespace asyncio
