#include <asyncio/staggered_race.h>

namespace asyncio::internal {

RaceWatch::RaceWatch(EventLoop& loop, std::size_t count, std::optional<Duration> delay)
    : loop_(loop),
      count_(count),
      delay_(delay),
      events_(loop, Completions::none),
      parts_(std::make_unique<Part[]>(count)) {
    // Each ends once and takes long once.
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

void RaceWatch::happened(Ready& node) noexcept {
    const auto& part = static_cast<Part&>(node);
    part.race->events_.put(part.event);
}

}  // namespace asyncio::internal
