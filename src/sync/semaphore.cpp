// Refusals of a semaphore, and the watch for permits that go back at once.
//
// Python's pair of statements, `acquire` and later `release`, compiles in C++ as well. But the
// object that holds the permit has no name, so it gives the permit back at the end of the first
// statement. The semaphore then limits nothing, and the later `release` adds a permit. So a
// `release` for which no kept permit exists is checked more closely.

#include <asyncio/semaphore.h>

#include <asyncio/internal/core/task_core.h>

#include <new>
#include <stdexcept>

namespace asyncio {

void Semaphore::refuse_value() {
    throw std::invalid_argument("the number of permits must not be negative");
}

void Semaphore::refuse_release() {
    throw std::invalid_argument("the semaphore is released more often than it was acquired");
}

/// Notes that the running task has given a permit back in the step in which it got it. A permit
/// that is held for less than a step limits nothing, so most likely the object that held it had no
/// name. Whether it was a mistake is not known before the same task calls `release`. If there is no
/// memory for the note, no note is made.
///
/// The last eight tasks are kept: a note is for a mistake in a few lines, not for statistics.
void Semaphore::note_dropped() noexcept {
    if (dropped_ == nullptr) dropped_.reset(new (std::nothrow) Dropped());
    if (dropped_ == nullptr) return;
    dropped_->tasks[dropped_->next] = internal::here.task->number();
    dropped_->next = (dropped_->next + 1) % dropped_->tasks.size();
}

/// For a bounded semaphore the mistake is certain: more is released than was kept, so it would
/// exceed its bound when the objects have given back the rest. A plain one may be released by any
/// task, since tasks count signals with it; so only a task with a note is refused.
void Semaphore::check_unkept(std::size_t count) const {
    const bool is_bounded = bound_ != std::numeric_limits<std::ptrdiff_t>::max();
    if (is_bounded && count > 0) refuse_release();
    if (dropped_ == nullptr || internal::here.task == nullptr) return;
    const auto& tasks = dropped_->tasks;
    if (std::find(tasks.begin(), tasks.end(), internal::here.task->number()) == tasks.end()) return;
    throw RuntimeError(
        "release: this task's permit was given back at once, because the object that held it was "
        "not kept; write auto permit = co_await semaphore.acquire()");
}

}  // namespace asyncio
