// The wait of a condition: two waits in one, of which the task sees only the end.
//
// A wait gives up the lock, waits until it is notified, and takes the lock again. In Python these
// are three statements of a coroutine. Here one awaiter does all of it: its node stands first in
// the line of the condition, then in the line of the lock, and the task runs only when both waits
// are over. So a notified task that must wait for the lock costs a turn of a node and no resumption
// of a coroutine.
//
// Step by step:
// 1. `begin` enters the line of the condition and releases the lock, which wakes the first task
//    that waits for it. Everything that can be refused is refused before, so an error leaves the
//    lock held.
// 2. `notify` makes the node ready. At its turn `take_turn` runs: the first part ends, and the lock
//    is taken if it is free and no task waits for it. Otherwise the node goes to the end of the
//    lock's line.
// 3. A release of the lock makes the node ready once more. At its turn it takes the lock
//    (`Lock::end_wait`), and the task continues in the same turn.
// CPython's `Condition.wait` takes the lock by `acquire` at the same point, so the order of events
// is the same.
//
// Cancellation. The lock must be held when CancelledError is thrown, as in Python, so a cancelled
// wait still has to take the lock. The hook answers `passed_on`: the request is noted in the
// awaiter, which throws it at its end. A cancelled waiter keeps its place in the line for one
// iteration (`wait_queue.h`), and its own node is linked there, so a second node
// (`cancelled_turn_`) brings its turn. Requests that come while it waits for the lock are noted
// too, and send it to the end of the lock's line, where CPython's loop around `acquire` would send
// it.
//
// A notification may have been used up by a waiter that then leaves with an error. So every waiter
// that leaves with an error notifies the next one. At worst the next one is woken for nothing. This
// is allowed, because a user of a condition must check again after each wait.
//
// `notified_` says which part the wait is in: false in the line of the condition, true in the line
// of the lock. `members_` of the condition lists all waits in either part, since the condition may
// be destroyed during both.

#include <asyncio/condition.h>

#include <string>

namespace asyncio {
namespace internal {

/// Both nodes lead to the same function: whichever part of the wait it is, and however it has
/// ended, the next step is decided there.
ConditionAwaiter::ConditionAwaiter(Condition& condition) noexcept
    : condition_(&condition), lock_(condition.lock_) {
    run = [](Ready& node) noexcept { static_cast<ConditionAwaiter&>(node).take_turn(); };
    cancelled_turn_.wait = this;
    cancelled_turn_.run = [](Ready& node) noexcept {
        static_cast<CancelledTurn&>(node).wait->take_turn();
    };
}

/// A wait always waits, so the only question is whether the caller holds the lock.
bool ConditionAwaiter::await_ready() {
    condition_->require_locked("wait: the lock of the condition is not held");
    return false;
}

/// Everything that can be refused is refused before the lock is given up.
void ConditionAwaiter::begin() {
    constexpr auto function = "Condition::wait() or wait_for()";
    task(function);
    lock_.waiting_.bind(function);
    condition_->waiting_.enter(*this, function);
    condition_->members_.push_back(*this);
    was_kept_ = lock_.kept_;
    lock_.unlock();
}

/// The request ends the part of the wait that is in progress, in the next iteration. If this part
/// was over already, the turn of the node is coming and finds the request with the task.
auto ConditionAwaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept -> Abort {
    auto& self = static_cast<ConditionAwaiter&>(waiter);
    if (!self.cancel_wait()) return Abort::too_late;
    self.cancellation_noted_ = true;
    self.task().loop().schedule(self.cancelled_turn_);
    return Abort::passed_on;
}

/// The end of one part. `was_kept_` restores how the lock was held before the wait: by an object,
/// or by a program that calls `release` itself.
void ConditionAwaiter::take_turn() noexcept {
    if (lock_is_gone()) return run_task(*this);
    const bool has_lock = end_part();
    if (has_lock || lock_.try_acquire()) {
        lock_.kept_ = was_kept_;
        return run_task(*this);
    }
    lock_.waiting_.wait_again(*this);
}

/// Leaves the line of the part that has ended. True if the lock is held now. A request that came
/// after the wake-up is moved from the task to the awaiter: the wait is not over, and the task must
/// not throw without the lock.
bool ConditionAwaiter::end_part() noexcept {
    const bool was_cancelled = cancelled();
    if (task().must_cancel()) {
        cancellation_noted_ = true;
        task().leave_request_to_wait();
    }
    if (notified_) return lock_.end_wait(*this, was_cancelled);
    notified_ = true;
    leave();
    return false;
}

/// Whether the wait ends with CancelledError. A wait whose lock is gone ends only because it was
/// cancelled.
bool ConditionAwaiter::interrupted() noexcept {
    const bool is_interrupted = cancellation_noted_ || lock_is_gone();
    if (condition_ == nullptr) return is_interrupted;
    ConditionMember::unlink();
    if (is_interrupted) condition_->waiting_.wake_next();
    return is_interrupted;
}

/// The condition is about to be destroyed. True if the task waits on, until it is cancelled. A wait
/// that is in its second part, and whose lock stays, does not notice.
bool ConditionAwaiter::forget_condition(bool lock_goes) noexcept {
    condition_ = nullptr;
    if (notified_ && !lock_goes) return false;
    const auto turn = run;
    const bool waits_on = detach(false);
    run = turn;  // which takes the lock, if there still is one
    notified_ = lock_goes;
    return waits_on;
}

}  // namespace internal

/// A condition with a lock of its own takes the lock with it; a lock from outside stays, and the
/// waits of the second part with it.
void Condition::abandon() noexcept {
    const bool lock_goes = &lock_ == &own_lock_;
    std::size_t waiting = 0;
    while (!members_.empty()) {
        auto& member = static_cast<internal::ConditionAwaiter&>(members_.pop_front());
        waiting += member.forget_condition(lock_goes);
    }
    internal::WaitQueue::warn_of_waiters("a condition", waiting);
}

/// Python has the same check. Which task holds the lock is not known, as in Python.
void Condition::require_locked(const char* refusal) {
    if (!lock_.locked())
        throw RuntimeError(std::string(refusal) +
                           "; keep the object that acquire() returns in a variable: auto held = "
                           "co_await condition.acquire()");
}

void Condition::notify(std::size_t count) {
    waiting_.check_thread();
    require_locked("notify: the lock of the condition is not held");
    while (count > 0 && waiting_.wake_next()) --count;
}

void Condition::notify_all() {
    waiting_.check_thread();
    require_locked("notify_all: the lock of the condition is not held");
    waiting_.wake_all();
}

}  // namespace asyncio
