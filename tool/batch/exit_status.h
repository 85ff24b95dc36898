#pragma once
// The exit status of a batch, by GNU parallel's rules.

#include "batch/halt.h"
#include "batch/job.h"
#include "batch/tally.h"

namespace batch {

inline constexpr int most_failures = 101;
/// A wrong command line, and every other error that is no failure of a command.
inline constexpr int other_error = 255;
/// A shell reports this number plus the signal's number for a program that a signal has ended.
inline constexpr int signal_base = 128;

/// The number of commands that have failed, 101 for more than 100. If a `--halt` rule has ended the
/// batch, the rule decides: with `success` the status is 0, and with `fail=1` or `done=1` it is the
/// status of the command. `halted_by` is the command that fulfilled the rule, or null.
int exit_status(const Tally& tally, const Halt& halt, const Job* halted_by) noexcept;

}  // namespace batch
