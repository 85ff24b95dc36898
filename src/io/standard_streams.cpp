#include <asyncio/standard_streams.h>

#include <poll.h>
#include <unistd.h>

namespace asyncio {
namespace {

StreamOptions called(StreamOptions options, const char* name) noexcept {
    if (options.name.empty()) options.name = name;
    return options;
}

}  // namespace

StreamReader open_stdin(StreamOptions options) {
    return connect_read_pipe(lowlevel::Fd(STDIN_FILENO), called(options, "standard input"));
}

StreamWriter open_stdout(StreamOptions options) {
    return connect_write_pipe(lowlevel::Fd(STDOUT_FILENO), called(options, "standard output"));
}

StreamWriter open_stderr(StreamOptions options) {
    return connect_write_pipe(lowlevel::Fd(STDERR_FILENO), called(options, "standard error"));
}

Readiness readable(int fd) noexcept { return Readiness(fd, POLLIN); }

Readiness writable(int fd) noexcept { return Readiness(fd, POLLOUT); }

void internal::throw_not_watchable(int fd, int error) {
    throw OsError(error, "wait for descriptor " + std::to_string(fd));
}

}  // namespace asyncio
