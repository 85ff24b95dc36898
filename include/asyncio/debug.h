#pragma once
// The library's log: what it reports, and where the reports go.

#include <cstdint>
#include <functional>
#include <string_view>

namespace asyncio {

/// How serious a line of the log is. In debug mode the library logs lines of the level `debug`,
/// too.
enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Receives every line that the library logs, without a newline at the end. A sink is any callable.
/// The library may call it from any thread, and from several threads at once. An exception that
/// leaves the sink is dropped, since the library has no other place to report it.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

/// Replaces the sink and returns the previous one. `nullptr` restores the default sink, which
/// writes warnings and errors to standard error, and every line if `ASYNCIO_DEBUG` asks for debug
/// mode.
///
/// Thread-safety: any thread. A call of the old sink that another thread has begun may still be
/// running when this returns. The old sink is destroyed when the last such call has ended.
/// Python: `logging.getLogger("asyncio")`.
LogSink set_log_sink(LogSink sink);

/// Whether the environment variable `ASYNCIO_DEBUG` is set, and neither empty nor "0". The
/// environment is read once.
/// Python: `PYTHONASYNCIODEBUG`.
bool debug_requested() noexcept;

}  // namespace asyncio
