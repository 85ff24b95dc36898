#pragma once
// What the library says during a test.
//
// While a `LogCapture` lives, every line of at least the given level is kept. What the test has not
// taken by the end is a failure: a library that complains during a test has something to say. Not
// that a step took long, though: on a busy machine any may (tests/loop/stall_test.cpp has a sink of
// its own for that).

#include <asyncio/debug.h>
#include <asyncio/testing/log_capture.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace support {

class LogCapture {
public:
    explicit LogCapture(asyncio::LogLevel least = asyncio::LogLevel::warning)
        : lines_(least), outer_(std::exchange(innermost, &lines_)) {}
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    ~LogCapture() {
        for (const std::string& line : take()) ADD_FAILURE() << "the library logged: " << line;
        innermost = outer_;
    }

    /// The lines of the innermost capture so far. They count as expected then.
    static std::vector<std::string> take() {
        return innermost == nullptr ? std::vector<std::string>() : innermost->take();
    }

private:
    using Lines = asyncio::testing::LogCapture;

    static inline Lines* innermost = nullptr;

    Lines lines_;
    Lines* outer_;
};

inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace support
