#include "loop/step_watch.h"

#include "base/log.h"

#include <cstdio>

namespace asyncio::internal {

void StepWatch::begin() noexcept { started_ = loop_.time(); }

bool StepWatch::too_long() const noexcept {
    return loop_.time() - started_ > loop_.slow_callback_duration;
}

void StepWatch::report(const std::string& what) const noexcept {
    const double seconds = std::chrono::duration<double>(loop_.time() - started_).count();
    char text[64];
    std::snprintf(text, sizeof text, " held the loop for %.3f s", seconds);
    log(LogLevel::warning, what + text);
}

}  // namespace asyncio::internal
