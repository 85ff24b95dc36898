#include <asyncio/lowlevel/fd.h>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::lowlevel {

void Fd::reset() noexcept {
    if (number_ < 0) return;
    const int saved_errno = errno;
    // Never retried on EINTR: on Linux the number is free by then, and may already be somebody
    // else's.
    ::close(release());
    errno = saved_errno;
}

Fd clear_of_standard(Fd fd) noexcept {
    if (!fd || fd.get() > STDERR_FILENO) return fd;
    return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

}  // namespace asyncio::lowlevel
