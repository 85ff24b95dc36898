#pragma once
// The report as JSON, for programs: one object with a list of commands and the totals.

#include "batch/job.h"
#include "batch/ledger.h"

#include <span>
#include <string>
#include <string_view>

namespace batch {

/// `text` as a JSON string, in quotes. Bytes that are no UTF-8, which JSON cannot hold, become
/// U+FFFD.
std::string json_string(std::string_view text);

/// What `--json` writes.
std::string json_report(std::span<const Job> jobs, const Totals& totals, int exit_status);

}  // namespace batch
