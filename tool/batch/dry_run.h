#pragma once
// `--dry-run`: shows the commands that a batch would run, and runs none of them.

#include <asyncio.h>

#include "batch/input/feed.h"
#include "batch/report/resume.h"
#include "batch/run/launch.h"

#include <string>

namespace tool::batch {

/// The error that ended a dry run early, if any.
struct DryRunResult {
    std::string input_error;
    /// As `Result::output_error`.
    int output_error = 0;
};

/// Writes the commands to standard output, one after another, as they come. Commands that are done
/// according to the job log are skipped. No workplace exists, so `{%}` stays in the text.
asyncio::Coro<DryRunResult> show_commands(Feed& feed, const Launcher& launcher,
                                          const Resume& resume);

}  // namespace tool::batch
