// The lines of a capture, and the sink that collects them. The sink may still be called on another
// thread when the capture has ended, so sink and capture share the lines (`Lines`).

#include <asyncio/testing/log_capture.h>

#include <asyncio/testing/assertion_error.h>

#include <cstdio>
#include <mutex>
#include <string_view>
#include <utility>

namespace asyncio::testing {

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

LogCapture::~LogCapture() {
    set_log_sink(std::move(before_));
    for (const std::string& line : take()) std::fprintf(stderr, "%s\n", line.c_str());
}

std::vector<std::string> LogCapture::take() {
    const std::lock_guard lock(lines_->mutex);
    return std::exchange(lines_->kept, {});
}

void LogCapture::check() {
    std::string text;
    for (const std::string& line : take()) text += "\n    " + line;
    if (!text.empty()) throw AssertionError("the library logged:" + text);
}

}  // namespace asyncio::testing
