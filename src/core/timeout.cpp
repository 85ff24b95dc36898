#include <asyncio/timeout.h>

namespace asyncio {

Timeout::Timeout(internal::TaskCore& task, TimePoint now, std::optional<TimePoint> when)
    : Alarm(*internal::here.loop),
      when_(when),
      task_(task),
      mask_(task.mask()),
      requests_at_entry_(std::int64_t{task.cancelling()} - (task.must_cancel() ? 1 : 0)) {
    set_deadline(now);
}

void Timeout::reschedule(std::optional<Deadline> when) {
    switch (state_) {
        case State::expiring: throw RuntimeError("the timeout is expiring");
        case State::expired: throw RuntimeError("the timeout has expired");
        case State::left: throw RuntimeError("the timeout is over");
        case State::entered: break;
    }
    when_ = when;
    stop_alarm();
    set_deadline(alarm_loop().time());
}

/// A deadline that has passed still lets the body begin: it takes effect one iteration later, like
/// any callback.
void Timeout::set_deadline(TimePoint now) {
    if (!when_ || *when_ == internal::never) return;
    if (*when_ <= now) {
        ring_soon();
    } else {
        ring_at(*when_);
    }
}

void Timeout::alarm_rings() noexcept {
    state_ = State::expiring;
    task_.cancel({}, mask_);
}

/// True if the body's cancellation is this scope's doing and nobody else's.
bool Timeout::leave_and_decide(bool body_cancelled) {
    if (left_in_time()) return false;
    state_ = State::expired;
    const bool only_ours = std::int64_t{task_.uncancel()} <= requests_at_entry_;
    // A request the body never felt goes with the scope that made it. `uncancel` sees to that only
    // when no earlier request, delivered long ago, keeps the count above zero.
    if (only_ours && !body_cancelled) task_.withdraw();
    return only_ours && body_cancelled;
}

std::exception_ptr Timeout::cancellation_of_others() {
    if (state_ != State::expired || !task_.must_cancel()) return nullptr;
    return task_.take_cancellation();
}

}  // namespace asyncio
