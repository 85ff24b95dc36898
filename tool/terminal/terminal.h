#pragma once
// The files behind the program's three standard streams, and what can be shown there.

#include <cstdint>

namespace tool {

enum class Stream : std::uint8_t { input, output, errors };

bool is_terminal(Stream stream) noexcept;

/// The columns of the terminal behind standard error. Without a terminal, the value of `COLUMNS`;
/// without that, 80.
int terminal_columns() noexcept;

/// Whether the user's locale is UTF-8, so that more than ASCII can be shown. It sets the locale of
/// the process, so it must not run beside other threads.
bool locale_is_utf8();

/// Whether a progress line can be shown and is wanted: standard error is a terminal that can erase
/// a line, and `NO_COLOR` (https://no-color.org) does not ask for plain text.
bool can_show_progress() noexcept;

}  // namespace tool
