#include <asyncio/staggered_race.h>

namespace asyncio::internal {

RaceWatch::RaceWatch(EventLoop& loop, std::size_t count, std::optional<Duration> delay)
    : FutureWatch(count), Alarm(loop), delay_(delay), events_(loop, Completions::none) {
    // Each runner ends once and takes long once.
    events_.reserve(2 * count);
}

void RaceWatch::started(FutureBase& runner) {
    watch(started_++, runner);
    stop_alarm();
    if (delay_ && started_ < watched_count()) ring_after(*delay_);
}

}  // namespace asyncio::internal
