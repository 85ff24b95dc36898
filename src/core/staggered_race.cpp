// The events of a race, in the order in which they happen: a runner has ended, or the runner
// started last has taken too long. Both are numbers in one `Completions`, so the race awaits one
// source and handles one event at a time.
//
// Numbers below the count stand for ends. The number count + n says that the delay of the n-th
// runner has passed. An event that is taken after a further runner was started carries an old
// number, and is ignored (`is_overdue`).

#include <asyncio/staggered_race.h>

namespace asyncio::internal {

RaceWatch::RaceWatch(EventLoop& loop, std::size_t count, std::optional<Duration> delay)
    : loop_(loop),
      count_(count),
      delay_(delay),
      events_(loop, Completions::none),
      parts_(std::make_unique<Part[]>(count)) {
    // A runner ends once, and its delay passes at most once. The room is reserved before the first
    // runner starts, so that `happened`, which is `noexcept`, never allocates.
    events_.reserve(2 * count);
    overdue_.race = this;
    overdue_.run = &happened;
    timer_.target = &overdue_;
}

RaceWatch::~RaceWatch() {
    loop_.disarm(timer_);
    if (overdue_.linked()) overdue_.unlink();
    for (std::size_t index = 0; index < started_; ++index) {
        if (parts_[index].linked()) parts_[index].unlink();
    }
}

/// The delay of the runner before is over: its timer, and its event if that is already in the ready
/// queue, must not count for the new one. The last runner needs no delay, because there is no
/// further one to start.
void RaceWatch::started(FutureBase& runner) {
    Part& part = parts_[started_];
    part.race = this;
    part.event = started_++;
    part.run = &happened;
    runner.notify(part);
    loop_.disarm(timer_);
    if (overdue_.linked()) overdue_.unlink();
    if (!delay_ || started_ == count_) return;
    overdue_.event = count_ + started_;
    loop_.arm(timer_, add_saturating(loop_.time(), *delay_));
}

/// Runs one iteration after a runner has ended, or in the iteration in which its delay has passed.
void RaceWatch::happened(Ready& node) noexcept {
    const auto& part = static_cast<Part&>(node);
    part.race->events_.put(part.event);
}

}  // namespace asyncio::internal
