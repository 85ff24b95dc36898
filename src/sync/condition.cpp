#include <asyncio/condition.h>

namespace asyncio {
namespace internal {

ConditionAwaiter::ConditionAwaiter(Condition& condition) noexcept : condition_(condition) {
    run = [](Ready& node) noexcept { static_cast<ConditionAwaiter&>(node).take_turn(); };
    cancelled_turn_.wait = this;
    cancelled_turn_.run = [](Ready& node) noexcept {
        static_cast<CancelledTurn&>(node).wait->take_turn();
    };
}

bool ConditionAwaiter::await_ready() {
    condition_.require_locked("wait: the lock of the condition is not held");
    return false;
}

/// Everything that can be refused is refused before the lock is given up.
void ConditionAwaiter::begin() {
    task();
    condition_.lock_.waiting_.bind();
    condition_.waiting_.enter(*this);
    condition_.lock_.release();
}

/// Both parts of the wait are left in the next iteration. If this part was over already, its turn
/// is coming and finds the request with the task.
auto ConditionAwaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept -> Abort {
    auto& self = static_cast<ConditionAwaiter&>(waiter);
    if (!self.cancel_wait()) return Abort::too_late;
    self.interrupted_ = true;
    self.task().loop().schedule(self.cancelled_turn_);
    return Abort::passed_on;
}

void ConditionAwaiter::take_turn() noexcept {
    Lock& lock = condition_.lock_;
    const bool has_lock = end_part();
    if (has_lock || lock.try_acquire()) return run_task(*this);
    lock.waiting_.wait_again(*this);
}

/// Leaves the line; true if that has brought the lock.
bool ConditionAwaiter::end_part() noexcept {
    const bool was_cancelled = cancelled();
    if (task().must_cancel()) {
        interrupted_ = true;
        task().withdraw();
    }
    if (notified_) return condition_.lock_.end_wait(*this, was_cancelled);
    notified_ = true;
    condition_.waiting_.leave(*this);
    return false;
}

bool ConditionAwaiter::interrupted() noexcept {
    if (interrupted_) condition_.waiting_.wake_next();
    return interrupted_;
}

}  // namespace internal

void Condition::require_locked(const char* refusal) {
    if (!lock_.locked()) throw RuntimeError(refusal);
}

void Condition::notify(std::size_t count) {
    require_locked("notify: the lock of the condition is not held");
    while (count > 0 && waiting_.wake_next()) --count;
}

void Condition::notify_all() {
    require_locked("notify_all: the lock of the condition is not held");
    waiting_.wake_all();
}

}  // namespace asyncio
