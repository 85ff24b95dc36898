#pragma once
// The factories of the back-ends that stand on the kernel. Code outside this folder calls
// `make_backend` instead, which chooses.

#include <asyncio/lowlevel/backend.h>

#include <cstdint>
#include <memory>

namespace asyncio::lowlevel {

/// Which of the optional flags a ring is made with.
enum class RingFlags : std::uint8_t {
    all_known,  ///< Every one that this kernel knows.
    /// None, as on a kernel that knows none. Tests use this to run the paths of old kernels.
    none_wished,
};

/// Throws: `OsError` when the kernel, or a sandbox in front of it, refuses the ring, or when this
/// library was built without the back-end (ENOSYS). Its text names the call and the likely cause.
std::unique_ptr<Backend> make_io_uring_backend(RingFlags flags = RingFlags::all_known);

/// Throws: `OsError` when the process has no descriptors left.
std::unique_ptr<Backend> make_epoll_backend();

}  // namespace asyncio::lowlevel
