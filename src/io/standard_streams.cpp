#include <asyncio/standard_streams.h>

#include <poll.h>
#include <unistd.h>

namespace asyncio {
namespace {

/// `function` is what an error names where no loop runs. This check comes before `Fd(STDIN_FILENO)`
/// and its like: an `Fd` closes its descriptor, also a standard one, when another argument throws.
StreamOptions called(StreamOptions options, const char* name, const char* function) {
    internal::running_loop(function);
    if (options.name.empty()) options.name = name;
    return options;
}

}  // namespace

StreamReader open_stdin(StreamOptions options) {
    options = called(options, "standard input", "asyncio::open_stdin()");
    return connect_read_pipe(lowlevel::Fd(STDIN_FILENO), options);
}

StreamWriter open_stdout(StreamOptions options) {
    options = called(options, "standard output", "asyncio::open_stdout()");
    return connect_write_pipe(lowlevel::Fd(STDOUT_FILENO), options);
}

StreamWriter open_stderr(StreamOptions options) {
    options = called(options, "standard error", "asyncio::open_stderr()");
    return connect_write_pipe(lowlevel::Fd(STDERR_FILENO), options);
}

Readiness readable(int fd) noexcept { return Readiness(fd, POLLIN); }

Readiness writable(int fd) noexcept { return Readiness(fd, POLLOUT); }

void internal::throw_not_watchable(int fd, int error) {
    throw OsError(error, "wait for descriptor " + std::to_string(fd));
}

}  // namespace asyncio
