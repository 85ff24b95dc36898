// The reader of durations. It computes in `double`, whose 53 bits hold a hundred years to the
// microsecond; a limit of a command needs no more.

#include "terminal/duration.h"

#include <array>
#include <charconv>
#include <cmath>

namespace tool {
namespace {

struct Unit {
    std::string_view name;
    double nanoseconds;
};

/// From the largest to the smallest, the order in which they may follow each other.
constexpr std::array units{Unit{"d", 86400e9}, Unit{"h", 3600e9}, Unit{"m", 60e9},
                           Unit{"s", 1e9},     Unit{"ms", 1e6},   Unit{"us", 1e3}};
constexpr double nanoseconds_per_second = 1e9;

/// A hundred years. Its nanoseconds fit into 64 bits, and a start time plus this limit fits as
/// well.
constexpr double longest = 100 * 365.25 * 86400e9;

/// Takes a number such as `2` or `2.5` off the front. The first character is checked because
/// `from_chars` alone would also read "inf" and "-1".
std::optional<double> take_number(std::string_view& text) {
    if (text.find_first_of("0123456789.") != 0) return std::nullopt;
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

/// Takes the unit off the front: everything up to the next number.
std::string_view take_word(std::string_view& text) {
    const std::size_t end = std::min(text.find_first_of("0123456789."), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    return word;
}

/// The sum of `2m`, `1m30s`, …. `next` only moves towards smaller units, so a unit that is repeated
/// or out of order is not found.
std::optional<double> sum_of_parts(std::string_view text) {
    double sum = 0;
    for (const Unit* next = units.begin(); !text.empty();) {
        const std::optional<double> number = take_number(text);
        const std::string_view name = take_word(text);
        while (next != units.end() && next->name != name) ++next;
        if (!number || next == units.end()) return std::nullopt;
        sum += *number * next->nanoseconds;
        ++next;
    }
    return sum;
}

}  // namespace

std::optional<asyncio::Duration> parse_duration(std::string_view text) {
    std::string_view rest = text;
    std::optional<double> nanoseconds = take_number(rest);
    if (!nanoseconds) return std::nullopt;
    nanoseconds = rest.empty() ? *nanoseconds * nanoseconds_per_second : sum_of_parts(text);
    if (!nanoseconds || *nanoseconds > longest) return std::nullopt;
    // Rounded up, because a limit of half a nanosecond would become zero, which means no limit.
    return asyncio::Duration(std::llround(std::ceil(*nanoseconds)));
}

}  // namespace tool
