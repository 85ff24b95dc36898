#pragma once
// `--dry-run`: shows what would be run, and runs nothing.

#include <asyncio.h>

#include "batch/feed.h"
#include "batch/launch.h"
#include "batch/resume.h"

#include <string>

namespace batch {

/// What has kept a dry run from its end.
struct DryRunResult {
    std::string input_error;
    /// As `Result::output_error`.
    int output_error = 0;
};

/// Writes the commands to standard output, one after another, as they come; those that the job log
/// says are done are left out. A place has no number then, so `{%}` stays.
asyncio::Coro<DryRunResult> show_commands(Feed& feed, const Launcher& launcher,
                                          const Resume& resume);

}  // namespace batch
