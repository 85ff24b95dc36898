#pragma once
// Writes to the standard streams while no loop runs: errors, remarks, the table.
//
// A remark may have no reader: standard error is full, closed, or a pipe that is not read. Then the
// remark is dropped. It never becomes an exception, never ends the program by SIGPIPE, and never
// delays the program for long. So the commands run and the exit status does not change.

#include <asyncio.h>

#include <optional>
#include <string_view>

namespace tool {

/// How long a remark waits for a reader that does not read.
inline constexpr asyncio::Duration patience_for_remarks = std::chrono::seconds(1);

/// Writes all of `text` to descriptor `number`, blocking or not, and returns 0, or an errno.
///
/// `patience` is how long the reader may take nothing; after that the result is ETIMEDOUT. Without
/// it there is no limit.
int write_all(int number, std::string_view text,
              std::optional<asyncio::Duration> patience = std::nullopt) noexcept;

/// Writes `text` to standard error, unchanged. The part that the reader does not take in time is
/// dropped, and later remarks then do not wait.
void say_as_is(std::string_view text) noexcept;

/// A remark of the subcommand `command`: one line on standard error.
void say(std::string_view command, std::string_view text);

}  // namespace tool
