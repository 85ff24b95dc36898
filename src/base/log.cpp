#include "base/log.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace asyncio {
namespace {

constexpr const char* name_of(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
    }
    return "?";
}

void write_to_stderr(LogLevel level, std::string_view line) noexcept {
    if (level < LogLevel::warning && !debug_requested()) return;
    // One call for the whole line: lines of several threads do not mix.
    std::fprintf(stderr, "asyncio %s: %.*s\n", name_of(level), static_cast<int>(line.size()),
                 line.data());
}

std::atomic<LogSink> current_sink{&write_to_stderr};

}  // namespace

LogSink set_log_sink(LogSink sink) noexcept {
    return current_sink.exchange(sink != nullptr ? sink : &write_to_stderr);
}

bool debug_requested() noexcept {
    static const bool requested = [] {
        const char* value = std::getenv("ASYNCIO_DEBUG");
        return value != nullptr && *value != '\0' && std::string_view(value) != "0";
    }();
    return requested;
}

void internal::log(LogLevel level, std::string_view line) noexcept {
    current_sink.load()(level, line);
}

}  // namespace asyncio
