#include <asyncio/standard_streams.h>

#include <poll.h>
#include <unistd.h>

namespace asyncio {
namespace {

/// `function` is what an error names where no loop runs.
StreamOptions called(StreamOptions options, const char* name, const char* function) {
    internal::running_loop(function);
    if (options.name.empty()) options.name = name;
    return options;
}

}  // namespace

StreamReader open_stdin(StreamOptions options) {
    return connect_read_pipe(lowlevel::Fd(STDIN_FILENO),
                             called(options, "standard input", "asyncio::open_stdin()"));
}

StreamWriter open_stdout(StreamOptions options) {
    return connect_write_pipe(lowlevel::Fd(STDOUT_FILENO),
                              called(options, "standard output", "asyncio::open_stdout()"));
}

StreamWriter open_stderr(StreamOptions options) {
    return connect_write_pipe(lowlevel::Fd(STDERR_FILENO),
                              called(options, "standard error", "asyncio::open_stderr()"));
}

Readiness readable(int fd) noexcept { return Readiness(fd, POLLIN); }

Readiness writable(int fd) noexcept { return Readiness(fd, POLLOUT); }

void internal::throw_not_watchable(int fd, int error) {
    throw OsError(error, "wait for descriptor " + std::to_string(fd));
}

}  // namespace asyncio
