#pragma once
// The table at the end of a batch.
//
//   Command                Status    Seconds
//   sleep 1 && echo hello  complete     1.00
//   sleep 500              timeout      2.00
//   2 commands: 1 complete, 1 timeout; 2.00 s (one by one: 3.00 s)

#include "batch/job/job.h"
#include "batch/job/ledger.h"
#include "terminal/text.h"

#include <span>
#include <string>

namespace tool::batch {

/// The totals in one line: "4 commands: 3 complete, 1 timeout; 2.00 s (one by one: 4.51 s)"
std::string describe(const Totals& totals);

/// The table and its totals. No line is wider than `width` columns, unless even a shortened command
/// does not fit.
std::string table(std::span<const Job> jobs, const Totals& totals, std::size_t width,
                  Charset charset);

}  // namespace tool::batch
