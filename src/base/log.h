#pragma once
// The one way in which the library speaks. Everything goes through the user's sink; nothing is
// printed elsewhere.

#include <asyncio/debug.h>

#include <string_view>
#include <utility>

namespace asyncio::internal {

/// Thread-safety: any thread. Never throws: a line that cannot be written is lost.
void log(LogLevel level, std::string_view line) noexcept;

/// The same for a line that has to be put together. Where there is no memory for that,
/// `without_memory` is logged: what never throws logs in this way.
template <class MakeLine>
void log(LogLevel level, std::string_view without_memory, MakeLine&& make_line) noexcept {
    try {
        log(level, std::forward<MakeLine>(make_line)());
    } catch (...) {
        log(level, without_memory);
    }
}

}  // namespace asyncio::internal
