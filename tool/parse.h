#pragma once
// Small readers of texts that have a fixed form: the words of an option, the fields of a log.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

namespace tool {

/// Takes the text up to `mark` off the front, and the mark with it. Without a mark it takes all.
inline std::string_view take_until(std::string_view& text, char mark) {
    const std::size_t end = std::min(text.find(mark), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

/// The number that is the whole of `text`. Returns nothing if there is anything else in it, or if
/// the number does not fit.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return number;
}

}  // namespace tool
