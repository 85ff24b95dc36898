#pragma once
// The report as JSON, for programs: one object with a list of commands and the totals.

#include "batch/job/job.h"
#include "batch/job/ledger.h"

#include <span>
#include <string>
#include <string_view>

namespace tool::batch {

/// `text` as a JSON string, in quotes. JSON cannot hold bytes that are no valid UTF-8; they become
/// U+FFFD.
std::string json_string(std::string_view text);

/// The report of `--json`.
std::string json_report(std::span<const Job> jobs, const Totals& totals, int exit_status);

}  // namespace tool::batch
