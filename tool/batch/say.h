#pragma once
// What the program says while no loop runs: errors, remarks, the table.
//
// A remark is for a reader, and there may be none: standard error is full, closed, or a pipe that
// is not read. Then the remark is dropped. It never becomes an exception, never ends the program by
// SIGPIPE, and never holds it for long, so that the commands run and the exit status stays.

#include <asyncio.h>

#include <optional>
#include <string_view>

namespace batch {

/// How long a remark waits for a reader that does not read.
inline constexpr asyncio::Duration patience_for_remarks = std::chrono::seconds(1);

/// Writes all of `text` to descriptor `number`, blocking or not, and returns 0, or an errno.
///
/// `patience` is how long a reader may do nothing: then it is ETIMEDOUT. Nothing: for ever.
int write_all(int number, std::string_view text,
              std::optional<asyncio::Duration> patience = std::nullopt) noexcept;

/// Puts `text` on standard error as it is. What the reader does not take is dropped, and from then
/// on no later remark waits for it.
void say_as_is(std::string_view text) noexcept;

/// A remark of the batch: one line on standard error.
void say(std::string_view text);

}  // namespace batch
