// The text of the progress line. It is ASCII, so its bytes are its columns, and cutting it never
// cuts a character.

#include "terminal/progress_line.h"

#include "terminal/duration.h"

#include <cmath>

#include <fmt/format.h>

namespace tool {
namespace {

/// A time as on a clock: "0:27", "12:05", "3:00:00". Rounded up, so a program at work never shows
/// 0:00 while time is left.
std::string clock(double seconds) {
    const auto whole = static_cast<long long>(std::ceil(seconds));
    const long long hours = whole / 3600;
    const long long minutes = whole / 60 % 60;
    if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
    return fmt::format("{}:{:02}", minutes, whole % 60);
}

}  // namespace

std::string progress_line(const Progress& progress, std::size_t width) {
    std::string line = fmt::format("{}{}{} done, {} running, {} failed", progress.done,
                                   progress.has_more ? " of at least " : "/", progress.total,
                                   progress.running, progress.failed);
    const double elapsed = in_seconds(progress.elapsed);
    if (progress.done > 0 && elapsed > 0) {
        const double rate = static_cast<double>(progress.done) / elapsed;
        const double left = static_cast<double>(progress.total - progress.done) / rate;
        line += fmt::format(", {:.1f}/s", rate);
        if (!progress.has_more) line += fmt::format(", {} left", clock(left));
    }
    if (line.size() > width) line.resize(width);
    return line;
}

}  // namespace tool
