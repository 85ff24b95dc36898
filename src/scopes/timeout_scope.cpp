// The states of a limit that is an object of its own (`timeout_scope.h`): not entered, running,
// expired, over. Python's `asyncio.timeout` refuses the same.

#include <asyncio/timeout_scope.h>

namespace asyncio::internal {

void TimeoutRecord::enter() {
    if (entered) throw RuntimeError("the timeout has already been entered");
    entered = true;
}

void TimeoutRecord::reschedule(std::optional<TimePoint> to) {
    if (running != nullptr) return running->reschedule(to);
    throw RuntimeError(expired   ? "the timeout has expired"
                       : entered ? "the timeout has ended"
                                 : "the timeout has not been entered");
}

}  // namespace asyncio::internal
