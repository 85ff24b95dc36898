#pragma once
// The log of the library. Messages go through the user's sink and not directly to standard error.
// The exceptions are a process that ends by an abort or an uncaught error, and the list of tasks
// that the user asks for with SIGQUIT.

#include <asyncio/debug.h>

#include <string_view>
#include <utility>

namespace asyncio::internal {

/// Thread-safety: any thread. Never throws: a line that cannot be written is lost.
void log(LogLevel level, std::string_view line) noexcept;

/// The same for a line that has to be put together. If there is no memory for that, the fixed text
/// `without_memory` is logged. Functions that never throw log in this way.
template <class MakeLine>
void log(LogLevel level, std::string_view without_memory, MakeLine&& make_line) noexcept {
    try {
        log(level, std::forward<MakeLine>(make_line)());
    } catch (...) {
        log(level, without_memory);
    }
}

}  // namespace asyncio::internal
