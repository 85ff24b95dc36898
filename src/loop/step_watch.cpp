#include "loop/step_watch.h"

#include "base/log.h"
#include "base/stall_watch.h"

#include <cstdio>

namespace asyncio::internal {
namespace {

std::string seconds(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f s", std::chrono::duration<double>(duration).count());
    return text;
}

/// The chain of calls from where the step was stuck up to where it began.
std::string places(const RawStack& stack) {
    std::string text;
    for (const SourceFrame& frame : user_frames(stack.span())) {
        text += (text.empty() ? "" : " ← ") + to_string(frame);
    }
    return text;
}

}  // namespace

void StepWatch::begin(Duration limit, const void* stack_end) noexcept {
    stall_watch_ = &StallWatch::of_this_thread();
    limit_ = limit;
    stall_watch_->begin(limit, stack_end);
}

Duration StepWatch::stop() const noexcept { return stall_watch_->end(); }

void StepWatch::report(const std::string& what, Duration held) const noexcept {
    std::string line =
        what + " held the loop for " + seconds(held) + " (limit " + seconds(limit_) + ")";
    const std::string where = places(stall_watch_->stack());
    if (!where.empty()) line += "; it was at " + where;
    log(LogLevel::warning, line);
}

}  // namespace asyncio::internal
