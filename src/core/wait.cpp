// `wait`: a node in the list of each future, a timer, and one future (`released_`) that says when
// enough has ended.
//
// A future that ends makes its node ready; the node's turn counts it, one iteration later. If that
// is enough, `released_` is set, and the waiting task runs one iteration after that. CPython's
// `_wait` has the same two steps (`_on_completion` sets a `waiter` future). The task sorts the
// futures when it runs, not when `released_` was set: futures that have ended in between count as
// done.
//
// This object neither owns nor cancels the futures. The nodes leave their lists when the call ends,
// also when it is cancelled.

#include <asyncio/wait.h>

namespace asyncio::internal {

WaitState::WaitState(EventLoop& loop, const WaitOptions& options, std::size_t count)
    : loop_(loop),
      return_when_(options.return_when),
      count_(count),
      unfinished_(count),
      parts_(std::make_unique<Part[]>(count)),
      released_(loop.create_future()) {
    if (!options.timeout) return;
    expiry_.wait = this;
    expiry_.run = [](Ready& node) noexcept { static_cast<Expiry&>(node).wait->release(); };
    timer_.target = &expiry_;
    loop_.arm(timer_, add_saturating(loop_.time(), *options.timeout));
}

WaitState::~WaitState() {
    loop_.disarm(timer_);
    if (expiry_.linked()) expiry_.unlink();
    for (std::size_t index = 0; index < count_; ++index) {
        if (parts_[index].linked()) parts_[index].unlink();
    }
}

void WaitState::watch(std::size_t index, FutureBase& future) noexcept {
    Part& part = parts_[index];
    part.wait = this;
    part.future = &future;
    part.run = &part_done;
    future.notify(part);
}

/// A cancelled future is no failure for `FIRST_EXCEPTION`, as in Python.
void WaitState::part_done(Ready& node) noexcept {
    auto& part = static_cast<Part&>(node);
    WaitState& self = *part.wait;
    --self.unfinished_;
    const bool failed = !part.future->cancelled() && part.future->error() != nullptr;
    const bool enough = self.unfinished_ == 0 || self.return_when_ == ReturnWhen::FIRST_COMPLETED ||
                        (self.return_when_ == ReturnWhen::FIRST_EXCEPTION && failed);
    if (enough) self.release();
}

/// The timer and the last future may both come in one iteration.
void WaitState::release() noexcept {
    if (!released_.done()) released_.set_result();
}

}  // namespace asyncio::internal
