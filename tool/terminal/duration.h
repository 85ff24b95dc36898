#pragma once
// Reads durations in the forms that users write: `2`, `2.5`, `500ms`, `1m30s`, `1h`.

#include <asyncio.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace tool {

/// The forms, for error messages.
inline constexpr std::string_view duration_forms = "2 (seconds), 2.5s, 500ms, 1m30s, 1h";

/// Returns nothing if `text` is no duration: a word, a negative number, an unknown unit, a repeated
/// unit, a unit out of order ("30s1m"), or more than a hundred years.
std::optional<asyncio::Duration> parse_duration(std::string_view text);

/// Seconds as a number, for tables and logs.
template <class Rep, class Period>
double in_seconds(std::chrono::duration<Rep, Period> duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace tool
