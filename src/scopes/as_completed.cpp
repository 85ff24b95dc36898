// `as_completed`: a watch over all futures, and one alarm for the limit.
//
// In the iteration after the end of a future, `future_ended` puts its number into `completions`:
// CPython's `_on_completion` is a done-callback as well. The iteration may be dropped early.
// Neither the timer nor a future may then point into this object: the destructors of the watch and
// of the alarm see to that. The futures themselves continue; nothing here cancels them.

#include <asyncio/as_completed.h>

namespace asyncio::internal {

AsCompletedBase::AsCompletedBase(EventLoop& loop, const AsCompletedOptions& options,
                                 std::size_t count)
    : FutureWatch(count), Alarm(loop), completions(loop, count), unfinished_(count) {
    completions.reserve(count);
    if (options.timeout && count > 0) ring_after(*options.timeout);
}

void AsCompletedBase::future_ended(std::size_t index, FutureBase&) noexcept {
    // All futures have been reported, so none can be late. An armed timer would keep the loop from
    // noticing a deadlock.
    if (--unfinished_ == 0) stop_alarm();
    completions.put(index);
}

/// A future that has not been reported by now is late, even if it is done: its node is in the ready
/// queue behind the alarm. CPython clears its list of futures in the same way.
void AsCompletedBase::alarm_rings() noexcept {
    stop_watching();
    completions.expire();
}

}  // namespace asyncio::internal
