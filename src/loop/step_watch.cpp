// The report of a step that blocked the loop for too long. This code runs in debug mode only; the
// tests of the flag are inlined where steps are run.

#include "loop/step_watch.h"

#include "base/log.h"
#include "machine/stall_watch.h"

namespace asyncio::internal {

/// The watch of the thread is made at its first use. Without memory for it the step is not watched.
void StepWatch::begin(Duration limit, const void* stack_end, Describe describe) noexcept {
    stall_watch_ = StallWatch::of_this_thread();
    if (stall_watch_ == nullptr) return;
    limit_ = limit;
    stall_watch_->begin(limit, stack_end, describe);
}

/// Returns how long the step has taken.
Duration StepWatch::stop() const noexcept { return stall_watch_->end(); }

/// The stack was written down by a signal handler while the step still ran, so it shows the place
/// where the time was lost and not the end of the step.
void StepWatch::report(const std::string& what, Duration held) const {
    std::string line = what + " blocked the loop for " + seconds_text(held) + " (limit " +
                       seconds_text(limit_) + ")";
    const std::string where = chain_of_calls(stall_watch_->stack());
    if (!where.empty()) line += "; it was at " + where;
    log(LogLevel::warning, line);
}

/// A report must not fail. Without memory it says only that a step was slow.
void StepWatch::report_without_memory() noexcept {
    log(LogLevel::warning, "a step blocked the loop for too long");
}

}  // namespace asyncio::internal
