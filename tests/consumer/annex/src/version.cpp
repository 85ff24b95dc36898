// The only file that sees the header of the third-party library.

#include <asyncio/annex/version.h>

#include <liburing.h>

namespace asyncio::annex {

int liburing_version() {
    return testing::simulate([]() -> Coro<int> {
        io_uring ring{};
        const int status = io_uring_queue_init(2, &ring, 0);
        if (status == 0) io_uring_queue_exit(&ring);
        co_return 2;
    });
}

}  // namespace asyncio::annex
