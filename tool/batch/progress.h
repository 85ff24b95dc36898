#pragma once
// The progress line, which is repainted while a batch runs:
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
    /// The commands that are known, without those that the job log lists as done.
    std::size_t total = 0;
    /// More commands may come.
    bool has_more = false;
    asyncio::Duration elapsed{};
};

/// The line, at most `width` columns wide. It tells the remaining time, at the rate so far, only
/// when a command has ended and all of the input is known.
std::string progress_line(const Progress& progress, std::size_t width);

}  // namespace batch
