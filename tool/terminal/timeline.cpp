// The layout of the drawing: a label column, at most a third of the width, and the axis.
//
// A bar of blocks is exact to an eighth of a column at its end, because Unicode has blocks of one
// to eight eighths. They fill a cell from the left, so the beginning of a bar is exact to a column.

#include "terminal/timeline.h"

#include "terminal/duration.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace tool {
namespace {

constexpr std::size_t label_gap = 2;
constexpr std::size_t narrowest_axis = 20;
/// The room for a label on the axis, with a blank on both sides.
constexpr double columns_per_label = 10;

/// Converts a moment to a column of the drawing.
struct Axis {
    double seconds;
    std::size_t columns;

    double position(double moment) const noexcept {
        return moment / seconds * static_cast<double>(columns);
    }
};

/// The smallest of 1, 2, 5, 10, 20, … (and 0.5, 0.2, …) that is not below `least`.
double round_step(double least) {
    const double magnitude = std::pow(10, std::floor(std::log10(least)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (factor * magnitude >= least) return factor * magnitude;
    }
    return 10 * magnitude;
}

/// The line with the labels, "0 s    1 s    2 s". Each label begins at the column of its moment.
std::string axis_line(const Axis& axis) {
    const double step =
        round_step(axis.seconds * columns_per_label / static_cast<double>(axis.columns));
    std::string line;
    for (int index = 0; index * step <= axis.seconds; ++index) {
        const double moment = index * step;
        const std::string label = fmt::format("{:g} s", moment);
        const auto at = static_cast<std::size_t>(axis.position(moment));
        if (at + label.size() > axis.columns) break;
        line.resize(at, ' ');
        line += label;
    }
    return line;
}

/// The cells of a bar, by the number of eighths that are filled.
constexpr std::array<const char*, 9> eighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};

std::string bar_of_blocks(double from, double to) {
    // A block fills its cell from the left, so a bar can begin only at a whole cell.
    const auto first = static_cast<std::size_t>(from);
    std::string bar(first, ' ');
    auto length = static_cast<std::size_t>(std::lround((to - static_cast<double>(first)) * 8));
    length = std::max<std::size_t>(length, 1);
    for (; length >= 8; length -= 8) bar += eighths[8];
    return bar + eighths[length];
}

std::string bar_of_ascii(double from, double to) {
    const auto first = static_cast<std::size_t>(from);
    const auto last = static_cast<std::size_t>(std::lround(to));
    return std::string(first, ' ') + std::string(std::max(last, first + 1) - first, '=');
}

/// The width of the longest label, but at most a third of the drawing.
std::size_t label_width(std::span<const TimelineBar> bars, std::size_t width, Charset charset) {
    std::size_t widest = 0;
    for (const TimelineBar& bar : bars) widest = std::max(widest, columns(bar.label, charset));
    return std::min(widest, width / 3);
}

}  // namespace

std::string draw_timeline(std::span<const TimelineBar> bars, asyncio::Duration whole,
                          std::size_t width, Charset charset) {
    if (bars.empty()) return {};
    const std::size_t label = label_width(bars, width, charset);
    const std::size_t room = width > label + label_gap ? width - label - label_gap : 0;
    const Axis axis{std::max(in_seconds(whole), 1e-3), std::max(room, narrowest_axis)};

    std::string text = std::string(label + label_gap, ' ') + axis_line(axis) + "\n";
    for (const TimelineBar& bar : bars) {
        const double from = axis.position(in_seconds(bar.begin));
        const double to = axis.position(in_seconds(bar.end));
        text += padded(shortened(bar.label, label, charset), label + label_gap, charset);
        text += charset == Charset::utf8 ? bar_of_blocks(from, to) : bar_of_ascii(from, to);
        text += "\n";
    }
    return text;
}

}  // namespace tool
