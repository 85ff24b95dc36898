// `wait`: a watch over all futures, an alarm for the limit, and one future (`released_`) that says
// when enough has ended.
//
// In the iteration after the end of a future, `future_ended` counts it. If that is enough,
// `released_` is set, and the waiting task runs one iteration after that. CPython's `_wait` has the
// same two steps (`_on_completion` sets a `waiter` future). The task sorts the futures when it
// runs, not when `released_` was set: futures that have ended in between count as done.
//
// This object neither owns nor cancels the futures. Its watch ends when the call ends, also when
// the call is cancelled.

#include <asyncio/wait.h>

namespace asyncio::internal {

WaitState::WaitState(lowlevel::Loop& loop, const WaitOptions& options, std::size_t count)
    : FutureWatch(count),
      Alarm(loop),
      return_when_(options.return_when),
      unfinished_(count),
      released_(face_of(loop).create_future()) {
    if (options.timeout) ring_after(*options.timeout);
}

/// A cancelled future is no failure for `FIRST_EXCEPTION`, as in Python.
void WaitState::future_ended(std::size_t, FutureBase& future) noexcept {
    --unfinished_;
    const bool failed = !future.cancelled() && future.error() != nullptr;
    const bool enough = unfinished_ == 0 || return_when_ == ReturnWhen::FIRST_COMPLETED ||
                        (return_when_ == ReturnWhen::FIRST_EXCEPTION && failed);
    if (enough) release();
}

/// The alarm and the last future may both come in one iteration.
void WaitState::release() noexcept {
    if (!released_.done()) released_.set_result();
}

}  // namespace asyncio::internal
