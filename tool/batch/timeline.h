#pragma once
// Draws when each command ran: a bar per command below an axis of seconds.
//
//                          0 s           1 s            2 s
//   sleep 1 && echo hello  ▕██████████████
//   sleep 1.5              ▕██████████████████████
//   echo world             ▕
//   sleep 500              ▕██████████████████████████████
//
// A bar begins with the first try of its command and ends with the last try. Without a UTF-8
// locale, which has block characters, the bars are drawn in ASCII.

#include "batch/job.h"
#include "batch/text.h"

#include <span>
#include <string>

namespace batch {

/// The drawing, `width` columns wide, for a batch that took `elapsed`. Empty if no command has run.
std::string timeline(std::span<const Job> jobs, asyncio::Duration elapsed, std::size_t width,
                     Charset charset);

}  // namespace batch
