#pragma once
// Commands in the form for a terminal: on one line, in a given number of columns.
//
// A command may hold any bytes: line breaks, escape sequences that would change the terminal, bytes
// that are no text in any encoding. The shown text holds none of these. The text that is run,
// logged and tagged is always the command itself.

#include <cstddef>
#include <string>
#include <string_view>

namespace tool {

/// The characters that the terminal can show.
enum class Charset : unsigned char { ascii, utf8 };

/// The number of columns that the shown form of `text` needs.
std::size_t columns(std::string_view text, Charset charset);

/// `text` on one line. Control characters become blanks, and characters that cannot be shown become
/// question marks. A longer text is cut to `limit` columns and ends with an ellipsis.
std::string shortened(std::string_view text, std::size_t limit, Charset charset);

/// `text`, filled with blanks to `width` columns.
std::string padded(std::string text, std::size_t width, Charset charset);

/// Replaces every byte that is not part of valid UTF-8 by U+FFFD, for formats that are UTF-8 by
/// definition.
std::string valid_utf8(std::string_view text);

}  // namespace tool
