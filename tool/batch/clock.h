#pragma once
// The time in which commands run: the loop's, without the time for which the batch was stopped
// (Ctrl-Z). Limits are measured by it, and so is what a command has taken.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

namespace batch {

class Clock {
public:
    asyncio::TimePoint now() const { return asyncio::get_running_loop().time() - stopped_; }

    /// The batch was stopped for so long, until now.
    void was_stopped_for(asyncio::Duration time) noexcept { stopped_ += time; }

private:
    asyncio::Duration stopped_{};
};

}  // namespace batch
