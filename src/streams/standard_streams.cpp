// Streams on the three descriptors that every program gets at its start, and waiting for readiness
// of any descriptor.
//
// The standard streams are shared with the parent of the program (pipes.cpp says what follows from
// that), and a stream never closes them (`internal::StreamFd`). Otherwise the number 0 would be
// given to the next file, and a library function that reads standard input would read that file.

#include <asyncio/standard_streams.h>

#include <poll.h>
#include <unistd.h>

namespace asyncio {
namespace {

/// Checks that a loop runs; if none does, the error names `function`. The check comes before an
/// `Fd` owns the standard descriptor: an `Fd` closes its descriptor when another argument throws.
/// Sets the name that stands in error messages, unless the program has chosen one: "standard input"
/// says more than "descriptor 0".
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

// Both functions take any descriptor and do not own it. They are for libraries that do their own
// reading and writing.
Readiness readable(int fd) noexcept { return Readiness(fd, POLLIN); }

Readiness writable(int fd) noexcept { return Readiness(fd, POLLOUT); }

void internal::throw_not_watchable(int fd, int error) {
    throw OsError(error, "wait for descriptor " + std::to_string(fd));
}

}  // namespace asyncio
