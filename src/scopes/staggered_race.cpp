// The events of a race, in the order in which they happen: a runner has ended, or the runner
// started last has taken too long. Both are numbers in one `Completions`, so the race awaits one
// source and handles one event at a time.
//
// Numbers below the count stand for ends. The number count + n says that the delay of the n-th
// runner has passed. An event that is taken after a further runner was started carries an old
// number, and is ignored (`is_overdue`).

#include <asyncio/staggered_race.h>

namespace asyncio::internal {

RaceWatch::RaceWatch(lowlevel::Loop& loop, std::size_t count, std::optional<Duration> delay)
    : FutureWatch(count), Alarm(loop), delay_(delay), events_(loop, Completions::none) {
    // A runner ends once, and its delay passes at most once. The room is reserved before the first
    // runner starts, so that `future_ended` and `alarm_rings`, which are `noexcept`, never
    // allocate.
    events_.reserve(2 * count);
}

/// The delay of the runner before is over: its alarm, which may already be in the ready queue, must
/// not count for the new one. The last runner needs no delay, because there is no further one to
/// start.
void RaceWatch::started(FutureBase& runner) {
    watch(started_++, runner);
    stop_alarm();
    if (delay_ && started_ < watched_count()) ring_after(*delay_);
}

}  // namespace asyncio::internal
