#include <asyncio/semaphore.h>

#include <asyncio/internal/task_core.h>

#include <new>
#include <stdexcept>

namespace asyncio {

void Semaphore::refuse_value() {
    throw std::invalid_argument("a semaphore starts with no less than 0 permits");
}

void Semaphore::refuse_release() {
    throw std::invalid_argument("the semaphore is released more often than it was acquired");
}

/// A permit that is held for less than a step holds nobody back, so most likely the object that
/// held it had no name. That is not known before the task calls `release`. Without memory for the
/// note there is none.
void Semaphore::note_dropped() noexcept {
    if (dropped_ == nullptr) dropped_.reset(new (std::nothrow) Dropped());
    if (dropped_ == nullptr) return;
    dropped_->tasks[dropped_->next] = internal::here.task->number();
    dropped_->next = (dropped_->next + 1) % dropped_->tasks.size();
}

void Semaphore::check_unkept(std::size_t count) const {
    const bool is_bounded = bound_ != std::numeric_limits<std::ptrdiff_t>::max();
    if (is_bounded && count > 0) refuse_release();
    if (dropped_ == nullptr || internal::here.task == nullptr) return;
    const auto& tasks = dropped_->tasks;
    if (std::find(tasks.begin(), tasks.end(), internal::here.task->number()) == tasks.end()) return;
    throw RuntimeError("release: this task's permit went back at once, for what held it had no "
                       "name; write auto permit = co_await semaphore.acquire()");
}

}  // namespace asyncio
