#include <asyncio/internal/completions.h>

namespace asyncio::internal {

/// What can be answered without waiting. False if it cannot.
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

void Completions::put(std::size_t number) noexcept {
    if (expired_) return;
    if (waiting_.empty()) {
        ready_.push_back(number);
        return;
    }
    Next& next = waiting_.pop_front();
    next.number_ = number;
    loop_.schedule(*next.waiting_task_);
}

void Completions::Next::refuse_loop() {
    throw RuntimeError("AsCompleted::next() is to be awaited in the event loop of its tasks");
}

void Completions::expire() noexcept {
    while (!waiting_.empty()) put(late);
    expired_ = true;
}

/// The place goes to who has waited longest, so while somebody waits none is free.
void Room::leave() noexcept {
    if (waiting_.empty()) {
        ++free_;
        return;
    }
    Entry& next = waiting_.pop_front();
    next.was_given_ = true;
    loop_.schedule(*next.waiting_task_);
}

}  // namespace asyncio::internal
