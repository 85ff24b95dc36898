#pragma once
// The lines that the library logs during a test.
//
// The library logs a warning when a program makes a mistake that it survives: a coroutine that was
// never awaited, or an error that no code has retrieved. A test that ignores the log does not see
// such a mistake. So a test keeps the log, takes the lines that it expects, and fails if there are
// others.

#include <asyncio/debug.h>

#include <memory>
#include <string>
#include <vector>

namespace asyncio::testing {

/// Keeps the lines that the library logs while the object lives.
///
/// It replaces the log sink, and its destructor restores the previous sink. Lines that were not
/// taken by then are written to standard error, so no line is lost when a test ends by an
/// exception. Captures may be nested; the innermost one gets the lines. They end in the opposite
/// order of their beginning, as local variables do.
///
/// Lines about a step that blocked the loop for too long are left out: on a busy machine any step
/// may be slow.
///
/// Thread-safety: any thread may log; the object itself belongs to one thread.
/// Python: `unittest.TestCase.assertLogs`.
class LogCapture {
public:
    /// Begins. Lines below the level `least` are dropped.
    explicit LogCapture(LogLevel least = LogLevel::warning);
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    ~LogCapture();

    /// The lines since the beginning or since the last call, in their order, without newlines.
    std::vector<std::string> take();

    /// Throws: AssertionError if there are lines that were not taken; its text has all of them.
    /// They count as taken then.
    void check();

private:
    struct Lines;

    /// Shared with the sink, because another thread may be in the middle of a call when the capture
    /// ends.
    std::shared_ptr<Lines> lines_;
    LogSink before_;
};

}  // namespace asyncio::testing
