#pragma once
// When each command ran, drawn in the terminal: a bar per command over an axis of seconds.
//
//                          0 s           1 s            2 s
//   sleep 1 && echo hello  ▕██████████████
//   sleep 1.5              ▕██████████████████████
//   echo world             ▕
//   sleep 500              ▕██████████████████████████████
//
// A bar begins with the first try of its command and ends with the last. Where the locale has no
// block characters, it is drawn in ASCII.

#include "batch/job.h"
#include "batch/text.h"

#include <span>
#include <string>

namespace batch {

/// Empty if no command has run.
std::string timeline(std::span<const Job> jobs, asyncio::Duration elapsed, std::size_t width,
                     Charset charset);

}  // namespace batch
