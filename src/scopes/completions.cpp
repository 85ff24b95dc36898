// The order in which ended things are handed out.
//
// `promised_` counts numbers that were taken and tasks that wait for one. When it reaches the
// total, no further number will come for a new caller, so the answer is `none` at once, although
// tasks may still wait. These tasks will get the last numbers.

#include <asyncio/internal/scopes/completions.h>

namespace asyncio::internal {

/// Answers what can be answered without waiting. False if the caller has to wait.
bool Completions::take(std::size_t& number) noexcept {
    number = none;
    if (promised_ == total_) return true;
    if (taken_ < ready_.size()) {
        number = ready_[taken_++];
    } else if (expired_) {
        number = late;
    } else {
        return false;
    }
    ++promised_;
    return true;
}

/// A number goes to the task that has waited longest, which runs in the next iteration. From here
/// on the number belongs to that task: the hook of its wait answers `too_late`, so a cancellation
/// cannot lose it.
void Completions::put(std::size_t number) noexcept {
    if (expired_) return;
    if (waiting_.empty()) {
        ready_.push_back(number);
        return;
    }
    auto& next = static_cast<Next&>(waiting_.front());
    next.number_ = number;
    next.wake();
}

/// Waiting tasks get `late` as a number; callers that come later get it from `take`.
void Completions::expire() noexcept {
    while (!waiting_.empty()) put(late);
    expired_ = true;
}

}  // namespace asyncio::internal
