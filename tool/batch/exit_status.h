#pragma once
// The exit status of a batch, by GNU parallel's rules.

#include "batch/halt.h"
#include "batch/job.h"
#include "batch/tally.h"

namespace batch {

inline constexpr int most_failures = 101;
/// Bad usage, and whatever else is no failure of a command.
inline constexpr int other_error = 255;
/// Plus a signal's number: ended by that signal.
inline constexpr int signal_base = 128;

/// How many commands have failed, 101 for more than 100. But a rule that has halted the batch
/// decides: `success` is success; a first failure (`fail=1`, `done=1`) is that command's own
/// status. `halted_by` is the command that fulfilled the rule, null if none did.
int exit_status(const Tally& tally, const Halt& halt, const Job* halted_by) noexcept;

}  // namespace batch
