// Streams over descriptors that come from elsewhere, and pipes of our own.

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/streams.h>

#include "io/reader_state.h"
#include "io/writer_state.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

namespace asyncio {
namespace {

using internal::Access;

[[noreturn]] void refuse(int fd, const char* what) {
    const int error = errno;
    throw OsError(error, std::string(what) + " descriptor " + std::to_string(fd));
}

void make_non_blocking(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) refuse(fd, "read the flags of");
    if ((flags & O_NONBLOCK) != 0) return;
    if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) refuse(fd, "set the flags of");
}

/// How the descriptor is to be used; it is made fit for that.
Access prepare(int fd, const StreamOptions& options) {
    struct stat about{};
    if (::fstat(fd, &about) != 0) refuse(fd, "connect to");
    if (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode)) return Access::file;
    if (options.shared || internal::is_standard(fd)) return Access::shared;
    make_non_blocking(fd);
    return Access::non_blocking;
}

Coro<Pipe> make_pipe(std::size_t limit, std::string name) {
    EventLoop& loop = internal::running_task("asyncio::open_pipe()").loop();
    int ends[2] = {-1, -1};
    const int result = co_await lowlevel::perform(
        {.kind = lowlevel::OperationKind::pipe, .buffer = ends, .size = sizeof ends});
    if (result < 0) throw OsError(-result, "make a pipe");
    // Both are owned before anything can fail.
    lowlevel::Fd read_end(ends[0]);
    lowlevel::Fd write_end(ends[1]);
    const StreamOptions options{.limit = limit, .name = name};
    StreamReader reader(loop, std::move(read_end), options);
    co_return Pipe{std::move(reader), StreamWriter(loop, std::move(write_end), options)};
}

}  // namespace

StreamReader connect_read_pipe(lowlevel::Fd fd, StreamOptions options) {
    internal::StreamFd owned(std::move(fd));
    EventLoop& loop = internal::running_loop("asyncio::connect_read_pipe()");
    const Access access = prepare(owned.get(), options);
    return StreamReader(
        internal::make_stream<internal::ReaderState>(loop, std::move(owned), options, access));
}

StreamWriter connect_write_pipe(lowlevel::Fd fd, StreamOptions options) {
    internal::StreamFd owned(std::move(fd));
    EventLoop& loop = internal::running_loop("asyncio::connect_write_pipe()");
    const Access access = prepare(owned.get(), options);
    return StreamWriter(
        internal::make_stream<internal::WriterState>(loop, std::move(owned), options, access));
}

Coro<Pipe> open_pipe(StreamOptions options) {
    return make_pipe(options.limit, std::string(options.name));
}

}  // namespace asyncio
