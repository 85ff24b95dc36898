// `as_completed`: a node in the list of each future, and a timer over all of them.
//
// A future that ends makes its node ready, and the node's turn puts the number of the future into
// `completions` one iteration later: CPython's `_on_completion` is a done-callback as well. The
// nodes lie in one array of the iteration object, and are taken out of the futures' lists when that
// object goes. The futures themselves go on; nothing here cancels them.

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

/// The iteration may be dropped early. Neither the timer nor a future may then point into this
/// object.
AsCompletedBase::~AsCompletedBase() {
    loop_.disarm(timer_);
    if (expiry_.linked()) expiry_.unlink();
    stop_watching();
}

/// Also for nodes that are in the ready queue: unlinking works in whichever list a node is.
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
    // All futures have been reported, so none can be late. An armed timer would keep the loop from
    // noticing a deadlock.
    if (--self.unfinished_ == 0) self.loop_.disarm(self.timer_);
    self.completions.put(part.index);
}

/// A future that has not been reported by now is late, even if it is done: its node is in the ready
/// queue behind this one. CPython clears its list of futures in the same way.
void AsCompletedBase::expire(Ready& node) noexcept {
    AsCompletedBase& self = *static_cast<Expiry&>(node).owner;
    self.stop_watching();
    self.completions.expire();
}

}  // namespace asyncio::internal
