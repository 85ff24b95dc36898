// When a limit expires, and whether the CancelledError that follows is its own.
//
// A limit is an alarm of the scope. When the deadline comes, the alarm becomes ready, and when it
// rings, it cancels the task. The body then ends with a CancelledError, and the scope has to find
// out whether to turn it into a TimeoutError: `internal/core/own_request.h` says how.
//
// The races, within one iteration:
// - The body ends before the alarm rings: `stop_alarm` takes the alarm out of the ready queue, and
//   the limit was kept.
// - The alarm rings first, and the body was woken already: the request is too late for that wait.
//   If the body has no further wait, it ends with its result; the scope withdraws the request, and
//   the result stands.
// - Another request comes too, before or after: the count shows it, and the CancelledError leaves
//   as it is. A cancellation from outside wins over a limit.
// - A request was pending when the scope began: the constructor does not count it, so it wins at
//   the end. CPython counts it, and turns it into a TimeoutError.
//
// Two scopes that expire in one iteration each make and take back one request. The inner one sees
// the outer one's request in the count, lets the CancelledError pass, and the outer one turns it
// into its TimeoutError.

#include <asyncio/timeout.h>

namespace asyncio {

/// The alarm lies in the scope's frame, so a limit allocates nothing unless the heap of timers must
/// grow.
Timeout::Timeout(internal::TaskCore& task, TimePoint now, std::optional<TimePoint> when)
    : Alarm(*internal::here.loop), when_(when), request_(task) {
    set_deadline(now);
}

/// A limit that has expired cannot be moved: its request has been made.
void Timeout::reschedule(std::optional<Deadline> when) {
    switch (state_) {
        case State::expiring: throw RuntimeError("the timeout is expiring");
        case State::expired: throw RuntimeError("the timeout has expired");
        case State::left: throw RuntimeError("the timeout has ended");
        case State::entered: break;
    }
    when_ = when;
    stop_alarm();
    set_deadline(alarm_loop().time());
}

/// A deadline that has passed still lets the body begin: it takes effect one iteration later, like
/// any callback. So a body that needs no wait ends with its result even under a limit of zero, as
/// in Python.
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
    request_.make();
}

/// True if only this scope has cancelled the body. In any case the scope's request is taken back
/// here.
bool Timeout::leave_and_decide(bool body_cancelled) {
    if (left_in_time()) return false;
    state_ = State::expired;
    request_.take_back();
    const bool only_ours = !request_.asked_by_others();
    // The request came too late for the last wait of the body, which has ended by itself.
    if (only_ours && !body_cancelled) request_.withdraw();
    return only_ours && body_cancelled;
}

/// The limit's request has ended the body, and a second request came before the scope was left. The
/// task has received one CancelledError for both; the one that leaves carries the reason of the
/// second.
std::exception_ptr Timeout::cancellation_of_others() { return request_.take_pending(); }

}  // namespace asyncio
