// The lines of a capture, and the sink that collects them.
//
// The sink may still be called on another thread when the capture has ended, so sink and capture
// share the lines (`Lines`). A destructor that waits for such a call was rejected: the thread that
// logs may itself wait for the thread of the test.
//
// The sink drops what the capture does not want. A line that is dropped later would need memory and
// the mutex first. A line about a blocked loop is recognised by its text, since a sink gets a level
// and a text and nothing else.

#include <asyncio/testing/log_capture.h>

#include <asyncio/testing/assertion_error.h>

#include <cstdio>
#include <mutex>
#include <string_view>
#include <utility>

namespace asyncio::testing {

/// Shared by the sink, on any thread, and by the capture. The mutex guards `kept`. The level is set
/// before the sink exists and never changes, so the sink reads it without the mutex.
struct LogCapture::Lines {
    std::mutex mutex;
    LogLevel least;
    std::vector<std::string> kept;

    explicit Lines(LogLevel level) : least(level) {}

    void keep(LogLevel level, std::string_view line) {
        if (level < least || line.find(" blocked the loop for ") != line.npos) return;
        const std::lock_guard lock(mutex);
        kept.emplace_back(line);
    }
};

LogCapture::LogCapture(LogLevel least) : lines_(std::make_shared<Lines>(least)) {
    before_ = set_log_sink(
        [lines = lines_](LogLevel level, std::string_view line) { lines->keep(level, line); });
}

/// The sink goes before the lines are shown. An exception is a usual reason for the end of a
/// capture, and then the log often has the cause: so the lines are printed and not dropped.
LogCapture::~LogCapture() {
    set_log_sink(std::move(before_));
    for (const std::string& line : take()) std::fprintf(stderr, "%s\n", line.c_str());
}

/// The lines are moved out, so the mutex is held for a moment only and a thread that logs does not
/// wait for the test.
std::vector<std::string> LogCapture::take() {
    const std::lock_guard lock(lines_->mutex);
    return std::exchange(lines_->kept, {});
}

/// The error has all lines, because a mistake often causes several, and the first alone may
/// mislead.
void LogCapture::check() {
    std::string text;
    for (const std::string& line : take()) text += "\n    " + line;
    if (!text.empty()) throw AssertionError("the library logged:" + text);
}

}  // namespace asyncio::testing
