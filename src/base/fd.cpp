#include <asyncio/lowlevel/fd.h>

#include <cerrno>

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

}  // namespace asyncio::lowlevel
