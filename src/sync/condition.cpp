#include <asyncio/condition.h>

#include <string>

namespace asyncio {
namespace internal {

ConditionAwaiter::ConditionAwaiter(Condition& condition) noexcept
    : condition_(&condition), lock_(condition.lock_) {
    run = [](Ready& node) noexcept { static_cast<ConditionAwaiter&>(node).take_turn(); };
    cancelled_turn_.wait = this;
    cancelled_turn_.run = [](Ready& node) noexcept {
        static_cast<CancelledTurn&>(node).wait->take_turn();
    };
}

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

/// Both parts of the wait are left in the next iteration. If this part was over already, its turn
/// is coming and finds the request with the task.
auto ConditionAwaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept -> Abort {
    auto& self = static_cast<ConditionAwaiter&>(waiter);
    if (!self.cancel_wait()) return Abort::too_late;
    self.cancellation_noted_ = true;
    self.task().loop().schedule(self.cancelled_turn_);
    return Abort::passed_on;
}

void ConditionAwaiter::take_turn() noexcept {
    if (lock_is_gone()) return run_task(*this);
    const bool has_lock = end_part();
    if (has_lock || lock_.try_acquire()) {
        lock_.kept_ = was_kept_;
        return run_task(*this);
    }
    lock_.waiting_.wait_again(*this);
}

/// Leaves the line; true if that has brought the lock.
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

/// A wait whose lock is gone ends only because it was cancelled.
bool ConditionAwaiter::interrupted() noexcept {
    const bool is_interrupted = cancellation_noted_ || lock_is_gone();
    if (condition_ == nullptr) return is_interrupted;
    ConditionMember::unlink();
    if (is_interrupted) condition_->waiting_.wake_next();
    return is_interrupted;
}

/// The condition is about to go. True if the task waits on, for a cancellation. One that waits for
/// the lock only, and can still have it, does not notice.
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

void Condition::abandon() noexcept {
    const bool lock_goes = &lock_ == &own_lock_;
    std::size_t waiting = 0;
    while (!members_.empty()) {
        auto& member = static_cast<internal::ConditionAwaiter&>(members_.pop_front());
        waiting += member.forget_condition(lock_goes);
    }
    internal::WaitQueue::warn_of_waiters("a condition", waiting);
}

void Condition::require_locked(const char* refusal) {
    if (!lock_.locked())
        throw RuntimeError(std::string(refusal) +
                           "; name what holds it: auto held = co_await condition.acquire()");
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
