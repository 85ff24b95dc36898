#pragma once
// Where a word of the shell ends, outside of quotations.

#include <string_view>

namespace tool::batch {

/// Each of these ends the word before it, and another word may begin behind it.
inline constexpr std::string_view word_ends = " \t\n;&|()<>";

}  // namespace tool::batch
