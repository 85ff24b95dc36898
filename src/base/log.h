#pragma once
// The one way in which the library speaks. Everything goes through the user's sink; nothing is
// printed elsewhere.

#include <asyncio/debug.h>

#include <string_view>

namespace asyncio::internal {

/// Thread-safety: any thread. Never throws: a line that cannot be written is lost.
void log(LogLevel level, std::string_view line) noexcept;

}  // namespace asyncio::internal
