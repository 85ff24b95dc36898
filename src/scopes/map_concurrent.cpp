// The part of `map_concurrent`, `map_settled` and `map_as_completed` that does not depend on the
// types: which worker takes the next item, when, and what an error means.
//
// The workers are tasks of one task group, so they end with the call, and an error of one ends the
// others. There are `limit` of them. A worker takes the item `begun_++`, runs its attempts, stores
// the outcome, and takes the next. One counter is enough, because a worker is not interrupted
// between two awaits. Items are therefore begun in order and end in any order.
//
// Three things can make a worker wait before an item: the rate (`Pace`), the delay before another
// attempt, and, with `map_as_completed`, results that the consumer has not taken yet (`room`). The
// room is twice the limit: the workers can run ahead of a slow consumer by one item each, and no
// further, so memory stays bounded.
//
// How an error is handled depends on where it comes from:
// - An item fails, and `cancel_rest` is set: the worker throws the error, and the group cancels the
//   other workers.
// - An item fails, and the others carry on: the error is kept, and the map throws all errors at its
//   end.
// - An item ends with a CancelledError of its own, while no request was made to the worker: a group
//   ignores children that are cancelled, so the error is kept, and with `cancel_rest` the group is
//   cancelled explicitly.
// - The worker is cancelled from outside the map: items would be left without a result, so the map
//   ends.
// - The worker is cancelled by the end of the map: nothing has to be reported.

#include <asyncio/map_concurrent.h>

#include <asyncio/internal/scopes/joined_errors.h>

#include <algorithm>
#include <stdexcept>

namespace asyncio::internal {

Pace::Pace(double per_second) {
    if (!(per_second >= 0)) throw std::invalid_argument("the rate per second must be zero or more");
    if (per_second == 0) return;
    // With a rate so low that its period does not fit into a `Duration`, one item begins and the
    // next one never does in practice.
    constexpr double longest = 1e18;
    period_ = Duration(static_cast<Duration::rep>(std::min(1e9 / per_second, longest)));
}

/// Places are handed out in advance: a worker that gets a place in the future sleeps until then,
/// and the next caller gets a later one. So the spacing is even however many workers ask. Time in
/// which no worker asked is not saved up: the next place is never in the past.
Duration Pace::next_delay() {
    if (period_ == Duration::zero()) return Duration::zero();
    const TimePoint now = here.loop->time();
    const TimePoint place = std::max(now, next_.value_or(now));
    next_ = add_saturating(place, period_);
    return place - now;
}

namespace {

/// Only `map_as_completed` has a consumer that may be slower than the workers. The other forms keep
/// all results in any case, so their room never fills.
std::ptrdiff_t permits_for(const MapOptions& options, std::size_t count, MapKind kind) noexcept {
    if (kind != MapKind::as_completed || options.limit == 0) return count;
    return 2 * std::min(options.limit, count);
}

const char* name_of(MapKind kind) noexcept {
    switch (kind) {
        case MapKind::values: return "asyncio::map_concurrent()";
        case MapKind::outcomes: return "asyncio::map_settled()";
        case MapKind::as_completed: break;
    }
    return "asyncio::map_as_completed()";
}

}  // namespace

MapBase::MapBase(const MapOptions& options, std::size_t count, MapKind kind)
    : completions(running_task(name_of(kind)).loop(), count),
      room(permits_for(options, count, kind)),
      options_(options),
      count_(count),
      kind_(kind),
      pace_(options.per_second) {
    completions.reserve(count);
}

std::size_t MapBase::workers() const noexcept {
    return options_.limit == 0 ? count_ : std::min(options_.limit, count_);
}

/// The delay doubles with every attempt and stops before it would overflow.
Coro<> MapBase::wait_to_begin(unsigned attempt) {
    if (attempt > 0 && options_.retry_delay > Delay()) {
        Duration delay = options_.retry_delay;
        for (unsigned i = 1; i < attempt && delay < Duration::max() / 2; ++i) delay *= 2;
        co_await sleep(delay);
    }
    const Duration wait = pace_.next_delay();
    if (wait > Duration::zero()) co_await sleep(wait);
}

/// See the list at the top. `cancelling()` distinguishes a worker that was cancelled from an item
/// that threw a CancelledError by itself.
std::exception_ptr MapBase::item_failed(TaskGroup& group, std::exception_ptr error) {
    const bool cancelled = is_cancellation(error);
    if (cancelled && here.task->cancelling() > 0) return error;
    if (kind_ == MapKind::outcomes) return nullptr;
    if (options_.on_error == OnError::cancel_rest) stop();
    if (options_.on_error == OnError::cancel_rest && !cancelled) return error;
    errors_.push_back(std::move(error));
    // A group ignores a child that is cancelled, but here an item is left without its result, so
    // the group is cancelled explicitly.
    if (options_.on_error == OnError::cancel_rest) group.cancel();
    return nullptr;
}

/// A worker that the map itself has cancelled needs no report. Any other cancellation means that
/// the program has cancelled this one worker; without it there will be items that have no result,
/// so the map ends with that cancellation.
void MapBase::worker_cancelled(TaskGroup& group, std::exception_ptr cancellation) {
    if (stopped_) return;
    stop();
    errors_.push_back(std::move(cancellation));
    group.cancel();
}

/// `begun_` at its maximum lets no worker take another item, also a worker whose item has ignored
/// its cancellation. Workers that wait in `room` must see that too: one is let in here, finds
/// nothing to do, and lets the next one in.
void MapBase::stop() noexcept {
    stopped_ = true;
    begun_ = count_;
    room.release();
}

std::exception_ptr MapBase::errors() const {
    return joined_errors(errors_, "unhandled errors in map_concurrent()", SingleError::in_group);
}

}  // namespace asyncio::internal
