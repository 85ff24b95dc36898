#pragma once
// `--timeline`: draws when each command ran. A bar begins with the first try of its command, and it
// ends with the last try.

#include "batch/job/job.h"
#include "terminal/text.h"

#include <cstddef>
#include <span>
#include <string>

namespace tool::batch {

/// The drawing, `width` columns wide, for a batch that took `elapsed`. Empty if no command has run.
std::string timeline(std::span<const Job> jobs, asyncio::Duration elapsed, std::size_t width,
                     Charset charset);

}  // namespace tool::batch
