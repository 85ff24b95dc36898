#pragma once
// The table at the end of a batch.
//
//   Command                Status    Seconds
//   sleep 1 && echo hello  complete     1.00
//   sleep 500              timeout      2.00
//   2 commands: 1 complete, 1 timeout; 2.00 s (one by one: 3.00 s)

#include "batch/job.h"
#include "batch/text.h"

#include <span>
#include <string>

namespace batch {

/// Beyond so many commands the table lists those that are not `complete`, and counts the others: a
/// table of thousands of lines hides the three that matter.
inline constexpr std::size_t most_rows = 100;

/// "4 commands: 3 complete, 1 timeout; 2.00 s (one by one: 4.51 s)"
std::string totals(std::span<const Job> jobs, asyncio::Duration elapsed);

/// The table and its totals, each line no wider than `width` columns as far as the commands can be
/// shortened.
std::string table(std::span<const Job> jobs, asyncio::Duration elapsed, std::size_t width,
                  Charset charset);

}  // namespace batch
