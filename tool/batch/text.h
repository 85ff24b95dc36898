#pragma once
// Commands as people see them: on one line, in a given number of columns.
//
// A command may hold anything: line breaks, escape sequences that would paint the terminal, bytes
// that are no text in any encoding. What is shown holds none of that. What is run, logged and
// tagged is always the command itself.

#include <cstddef>
#include <string>
#include <string_view>

namespace batch {

/// What the terminal can show.
enum class Charset : unsigned char { ascii, utf8 };

/// The columns that `text`, shown, takes up.
std::size_t columns(std::string_view text, Charset charset);

/// `text` on one line: control characters become blanks; what cannot be shown, question marks. Cut
/// to at most `limit` columns, and then with an ellipsis at its end.
std::string shortened(std::string_view text, std::size_t limit, Charset charset);

/// `text` and blanks, together `width` columns.
std::string padded(std::string text, std::size_t width, Charset charset);

/// Replaces every byte that is not part of valid UTF-8 by U+FFFD, for formats that are UTF-8 by
/// definition.
std::string valid_utf8(std::string_view text);

}  // namespace batch
