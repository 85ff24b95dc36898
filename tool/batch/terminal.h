#pragma once
// What the program's three standard streams are connected to, and what can be shown there.

#include <cstdint>

namespace batch {

enum class Stream : std::uint8_t { input, output, errors };

bool is_terminal(Stream stream) noexcept;

/// The columns of the terminal that standard error is connected to, or as `COLUMNS` says; 80 where
/// there is neither.
int terminal_columns() noexcept;

/// Whether the user's locale can show more than ASCII. Reads the environment, and so is to be
/// called once, early.
bool locale_is_utf8();

/// Whether a line that moves is wanted and can be shown: standard error is a terminal that can do
/// it, and `NO_COLOR` (https://no-color.org) does not ask for plain text.
bool can_show_progress() noexcept;

}  // namespace batch
