#pragma once
// The clock of the commands: the loop's time, without the time in which the batch was stopped
// (Ctrl-Z). It measures the limits and the durations of commands. With the loop's clock, a batch
// that was stopped for an hour would end all of its commands as soon as it continues.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

namespace tool::batch {

class Clock {
public:
    asyncio::TimePoint now() const { return asyncio::get_running_loop().time() - stopped_; }

    /// The batch was stopped for `time` and has just continued.
    void was_stopped_for(asyncio::Duration time) noexcept { stopped_ += time; }

private:
    asyncio::Duration stopped_{};
};

}  // namespace tool::batch
