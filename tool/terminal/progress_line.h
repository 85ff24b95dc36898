#pragma once
// The progress line, which is repainted while a command of the program works:
//
//   12/100 done, 4 running, 1 failed, 3.2/s, 0:27 left
//   12 of at least 40 done, 4 running, 1 failed, 3.2/s      while there may be more

#include <asyncio.h>

#include <cstddef>
#include <string>

namespace tool {

struct Progress {
    /// The pieces of work that have ended, the failed ones included.
    std::size_t done = 0;
    std::size_t running = 0;
    std::size_t failed = 0;
    /// The pieces that are known.
    std::size_t total = 0;
    /// More pieces may come.
    bool has_more = false;
    asyncio::Duration elapsed{};
};

/// The line, at most `width` columns wide. It tells the remaining time, at the rate so far, only
/// when a piece has ended and all of them are known.
std::string progress_line(const Progress& progress, std::size_t width);

}  // namespace tool
