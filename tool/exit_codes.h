#pragma once
// The numbers with which the command `asyncio` exits. A shell and GNU parallel use the same ones,
// so scripts that know these programs understand them.

namespace tool {

/// A wrong command line, and every other error of the program itself.
inline constexpr int other_error = 255;

/// This number plus the number of a signal: the signal has ended a program.
inline constexpr int signal_base = 128;

/// The program exists and cannot be run.
inline constexpr int cannot_run = 126;

}  // namespace tool
