#include <asyncio/map_concurrent.h>

#include <algorithm>
#include <stdexcept>

namespace asyncio::internal {

Pace::Pace(double per_second) {
    if (!(per_second >= 0)) throw std::invalid_argument("a rate per second is not negative");
    if (per_second == 0) return;
    // A rate so low that its period is beyond all counting means once.
    constexpr double longest = 1e18;
    period_ = Duration(static_cast<Duration::rep>(std::min(1e9 / per_second, longest)));
}

Duration Pace::take_place() {
    if (period_ == Duration::zero()) return Duration::zero();
    const TimePoint now = here.loop->time();
    const TimePoint place = std::max(now, next_.value_or(now));
    next_ = add_saturating(place, period_);
    return place - now;
}

namespace {

/// Results that are not taken one by one are all kept in any case.
std::size_t places_for(const MapOptions& options, std::size_t count, MapKind kind) noexcept {
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
      room(*here.loop, places_for(options, count, kind)),
      options_(options),
      count_(count),
      kind_(kind),
      pace_(options.per_second) {
    completions.reserve(count);
}

std::size_t MapBase::workers() const noexcept {
    return options_.limit == 0 ? count_ : std::min(options_.limit, count_);
}

Coro<> MapBase::wait_turn(unsigned attempt) {
    if (attempt > 0 && options_.retry_delay > Delay()) {
        Duration delay = options_.retry_delay;
        for (unsigned i = 1; i < attempt && delay < Duration::max() / 2; ++i) delay *= 2;
        co_await sleep(delay);
    }
    const Duration wait = pace_.take_place();
    if (wait > Duration::zero()) co_await sleep(wait);
}

std::exception_ptr MapBase::item_failed(TaskGroup& group, std::exception_ptr error) {
    const bool cancelled = is_cancellation(error);
    if (cancelled && here.task->cancelling() > 0) return error;
    if (kind_ == MapKind::outcomes) return nullptr;
    if (options_.on_error == OnError::cancel_rest) stop();
    if (options_.on_error == OnError::cancel_rest && !cancelled) return error;
    errors_.push_back(std::move(error));
    // A group takes no notice of a task that is cancelled, and here an item is without its result.
    if (options_.on_error == OnError::cancel_rest) group.cancel();
    return nullptr;
}

/// Those whom the end of the map has cancelled are no news. The rest are: somebody has picked out
/// this one task, and without it there will be items that have no result.
void MapBase::worker_cancelled(TaskGroup& group, std::exception_ptr cancellation) {
    if (stopped_) return;
    stop();
    errors_.push_back(std::move(cancellation));
    group.cancel();
}

void MapBase::stop() noexcept {
    stopped_ = true;
    begun_ = count_;
    room.leave();
}

std::exception_ptr MapBase::errors() const {
    if (errors_.empty()) return nullptr;
    std::vector<std::exception_ptr> real = errors_;
    std::erase_if(real, is_cancellation);
    if (real.empty()) return errors_.front();
    return std::make_exception_ptr(
        ExceptionGroup("unhandled errors in a map_concurrent", std::move(real)));
}

}  // namespace asyncio::internal
