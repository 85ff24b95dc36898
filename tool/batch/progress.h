#pragma once
// The line that moves while a batch runs:
//
//   12/100 done, 4 running, 1 failed, 3.2/s, 0:27 left
//   12 of at least 40 done, 4 running, 1 failed, 3.2/s      while there may be more

#include <asyncio.h>

#include "batch/tally.h"

#include <cstddef>
#include <string>

namespace batch {

struct Progress {
    Tally tally;
    std::size_t running = 0;
    /// Without those that the job log says have run before.
    std::size_t total = 0;
    /// More of them may come.
    bool has_more = false;
    asyncio::Duration elapsed{};
};

/// What is left, at the rate so far, is said once there is a rate and all the input is known. At
/// most `width` columns.
std::string progress_line(const Progress& progress, std::size_t width);

}  // namespace batch
