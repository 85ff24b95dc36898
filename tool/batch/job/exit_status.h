#pragma once
// The exit status of a batch, by GNU parallel's rules.

#include "batch/job/halt.h"
#include "batch/job/job.h"
#include "batch/job/tally.h"

namespace tool::batch {

/// The exit status for more failures than this number can tell.
inline constexpr int most_failures = 101;

/// The number of commands that have failed, 101 for more than 100. If a `--halt` rule has ended the
/// batch, the rule decides: with `success` the status is 0, and with `fail=1` or `done=1` it is the
/// status of the command. `halted_by` is the command that fulfilled the rule, or null.
int exit_status(const Tally& tally, const Halt& halt, const Job* halted_by) noexcept;

}  // namespace tool::batch
