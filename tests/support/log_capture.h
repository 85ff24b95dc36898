#pragma once
// What the library says during a test.
//
// While a `LogCapture` lives, every line of at least the given level is kept. What the test has not
// taken by the end is a failure: a library that complains during a test has something to say. Not
// that a step took long, though: on a busy machine any may (tests/loop/stall_test.cpp has a sink of
// its own for that).

#include <asyncio/debug.h>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace support {

class LogCapture {
public:
    explicit LogCapture(asyncio::LogLevel least = asyncio::LogLevel::warning) {
        shared().least = least;
        shared().lines.clear();
        before_ = asyncio::set_log_sink(&keep);
    }
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    ~LogCapture() {
        asyncio::set_log_sink(before_);
        for (const std::string& line : take()) ADD_FAILURE() << "the library logged: " << line;
    }

    /// The lines so far. They count as expected then.
    static std::vector<std::string> take() {
        const std::lock_guard lock(shared().mutex);
        return std::exchange(shared().lines, {});
    }

private:
    struct Shared {
        std::mutex mutex;
        asyncio::LogLevel least;
        std::vector<std::string> lines;
    };
    static Shared& shared() {
        static Shared instance;
        return instance;
    }
    static void keep(asyncio::LogLevel level, std::string_view line) noexcept {
        if (line.find(" held the loop for ") != line.npos) return;
        const std::lock_guard lock(shared().mutex);
        if (level >= shared().least) shared().lines.emplace_back(line);
    }

    asyncio::LogSink before_;
};

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace support
