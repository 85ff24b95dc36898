// Closing a descriptor, and moving one away from the numbers of the standard streams.
//
// Both are plain system calls without a loop. A close that could block (a file on a network)
// belongs to an operation of the back-end; the descriptors that `Fd` owns are pipes, sockets and
// pidfds, whose close does not.

#include <asyncio/lowlevel/fd.h>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::lowlevel {

void Fd::reset() noexcept {
    if (number_ < 0) return;
    const int saved_errno = errno;
    // Never retried on EINTR: on Linux the number is free by then, and another thread may already
    // have a new file under it.
    ::close(release());
    errno = saved_errno;
}

/// The old number is closed when `fd` ends here, also if there is no new one. F_DUPFD gives out the
/// lowest free number that is at least the wanted one, so the result is never a standard number.
Fd clear_of_standard(Fd fd) noexcept {
    if (!fd || fd.get() > STDERR_FILENO) return fd;
    return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

}  // namespace asyncio::lowlevel
