#include <asyncio/as_completed.h>

namespace asyncio::internal {

AsCompletedBase::AsCompletedBase(EventLoop& loop, const AsCompletedOptions& options,
                                 std::size_t count)
    : FutureWatch(count), Alarm(loop), completions(loop, count), unfinished_(count) {
    completions.reserve(count);
    if (options.timeout && count > 0) ring_after(*options.timeout);
}

void AsCompletedBase::future_ended(std::size_t index, FutureBase&) noexcept {
    if (--unfinished_ == 0) stop_alarm();
    completions.put(index);
}

/// A future that has not been reported by now is late, even if it is done.
void AsCompletedBase::alarm_rings() noexcept {
    stop_watching();
    completions.expire();
}

}  // namespace asyncio::internal
