#pragma once
// What the library says about a program, and where it says it.

#include <cstdint>
#include <string_view>

namespace asyncio {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Receives every line the library logs: no newline at the end, may be called from any thread. Must
/// not throw.
using LogSink = void (*)(LogLevel level, std::string_view line) noexcept;

/// Replaces the sink and returns the one before. `nullptr` restores the first one, which writes
/// warnings and errors (in debug mode: everything) to standard error. Thread-safety: any thread.
/// Python: `logging.getLogger("asyncio")`.
LogSink set_log_sink(LogSink sink) noexcept;

/// Whether `ASYNCIO_DEBUG` is set to something other than nothing and "0". Read once.
/// Python: `PYTHONASYNCIODEBUG`.
bool debug_requested() noexcept;

}  // namespace asyncio
