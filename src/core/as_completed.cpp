#include <asyncio/as_completed.h>

namespace asyncio::internal {

AsCompletedBase::AsCompletedBase(EventLoop& loop, const AsCompletedOptions& options,
                                 std::size_t count)
    : completions(loop, count),
      loop_(loop),
      count_(count),
      unfinished_(count),
      parts_(std::make_unique<Part[]>(count)) {
    completions.reserve(count);
    if (!options.timeout || count == 0) return;
    expiry_.owner = this;
    expiry_.run = &expire;
    timer_.target = &expiry_;
    loop_.arm(timer_, add_saturating(loop_.time(), *options.timeout));
}

AsCompletedBase::~AsCompletedBase() {
    loop_.disarm(timer_);
    if (expiry_.linked()) expiry_.unlink();
    stop_watching();
}

void AsCompletedBase::stop_watching() noexcept {
    for (std::size_t index = 0; index < count_; ++index) {
        if (parts_[index].linked()) parts_[index].unlink();
    }
}

void AsCompletedBase::watch(std::size_t index, FutureBase& future) noexcept {
    Part& part = parts_[index];
    part.owner = this;
    part.index = index;
    part.run = &part_done;
    future.notify(part);
}

void AsCompletedBase::part_done(Ready& node) noexcept {
    auto& part = static_cast<Part&>(node);
    AsCompletedBase& self = *part.owner;
    if (--self.unfinished_ == 0) self.loop_.disarm(self.timer_);
    self.completions.put(part.index);
}

/// What has not been reported by now is late, even if it is done.
void AsCompletedBase::expire(Ready& node) noexcept {
    AsCompletedBase& self = *static_cast<Expiry&>(node).owner;
    self.stop_watching();
    self.completions.expire();
}

}  // namespace asyncio::internal
