// Streams over descriptors that come from elsewhere, and pipes of the library's own.
//
// A descriptor is used in one of three ways (`Access`), and `prepare` decides which.
//
//  - A regular file or a block device is a `file`. It has no readiness to wait for and no
//    non-blocking mode. Each read or write is one call that may take as long as the disk.
//  - A descriptor that other processes use, too, is `shared`. The non-blocking mode belongs to the
//    open file and not to the descriptor: changing it for a terminal would change it for the shell
//    that started the program. The next read of the shell would then fail with EAGAIN. So the mode
//    is left alone. The stream waits for readiness first and moves only as much as cannot block.
//  - Any other descriptor is put into non-blocking mode. The program has given it away, so nothing
//    else depends on its mode.
//
// The standard descriptors count as shared without being asked: every program shares them with its
// parent.
//
// Owners. The functions take the descriptor by value. When one of them throws, the descriptor is
// closed, so the caller need not know how far the call came.

#include <asyncio/exceptions.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/streams.h>

#include "streams/reader_state.h"
#include "streams/writer_state.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

namespace asyncio {
namespace {

using internal::Access;

/// errno is read first: building the text may change it.
[[noreturn]] void refuse(int fd, const char* what) {
    const int error = errno;
    throw OsError(error, std::string(what) + " descriptor " + std::to_string(fd));
}

/// Two calls: the other flags of the file (O_APPEND) must stay as they are.
void make_non_blocking(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) refuse(fd, "read the flags of");
    if ((flags & O_NONBLOCK) != 0) return;
    if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) refuse(fd, "set the flags of");
}

/// Decides how the descriptor is used, and prepares it for that. Throws: OsError if it is no open
/// descriptor.
Access prepare(int fd, const StreamOptions& options) {
    struct stat about{};
    if (::fstat(fd, &about) != 0) refuse(fd, "connect to");
    if (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode)) return Access::file;
    if (options.shared || internal::is_standard(fd)) return Access::shared;
    make_non_blocking(fd);
    return Access::non_blocking;
}

/// The pipe is made by the back-end and not by pipe2(2), so that under the simulation it is one of
/// the simulated world's. The name is an owned string: the coroutine starts when it is awaited,
/// when the caller's text may be gone.
Coro<Pipe> make_pipe(std::size_t limit, std::string name) {
    EventLoop& loop = internal::face_of(internal::running_task("asyncio::open_pipe()").loop());
    int ends[2] = {-1, -1};
    const int result = co_await lowlevel::perform(
        {.kind = lowlevel::OperationKind::pipe, .buffer = ends, .size = sizeof ends});
    if (result < 0) throw OsError(-result, "make a pipe");
    // Both ends have owners before anything can fail, so none of them leaks.
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
