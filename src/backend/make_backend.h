#pragma once
// The factories of the back-ends that stand on the kernel. Everybody outside this folder calls
// `make_backend` instead, which chooses.

#include <asyncio/lowlevel/backend.h>

#include <cstdint>
#include <memory>

namespace asyncio::lowlevel {

/// Which of the flags that make a ring cheaper it is made with.
enum class RingFlags : std::uint8_t {
    all_known,  ///< Every one that this kernel knows.
    /// None, as on a kernel that knows none: how the tests get at what old kernels do.
    none_wished,
};

/// Throws: `OsError` when the kernel, or a sandbox in front of it, refuses the ring, or when this
/// library was built without the back-end (ENOSYS). What it says names the call and the likely
/// cause.
std::unique_ptr<Backend> make_io_uring_backend(RingFlags flags = RingFlags::all_known);

/// Throws: `OsError` when the process has no descriptors left.
std::unique_ptr<Backend> make_epoll_backend();

}  // namespace asyncio::lowlevel
