#pragma once
// What the library says about a program, and where it says it.

#include <cstdint>
#include <functional>
#include <string_view>

namespace asyncio {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Receives every line the library logs, without a newline at the end. Any callable; it may be
/// called from any thread, from several at once. What it throws is dropped.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

/// Replaces the sink and returns the one before. `nullptr` restores the first one, which writes
/// warnings and errors (in debug mode: everything) to standard error.
///
/// Thread-safety: any thread. A sink that another thread has begun to call may still be called when
/// this returns; what it holds is destroyed when the last of those calls has ended.
/// Python: `logging.getLogger("asyncio")`.
LogSink set_log_sink(LogSink sink);

/// Whether `ASYNCIO_DEBUG` is set to something other than nothing and "0". Read once.
/// Python: `PYTHONASYNCIODEBUG`.
bool debug_requested() noexcept;

}  // namespace asyncio
