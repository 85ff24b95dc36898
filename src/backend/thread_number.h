#pragma once
// A name for the calling thread that is never used again.
//
// Thread-safety: any thread.

#include <atomic>
#include <cstdint>

namespace asyncio::lowlevel {

/// A number that no other thread of the process ever has. The numbers and addresses of threads that
/// the system gives are not enough, because they are given out again when a thread has ended. The
/// kernel, however, distinguishes the new thread from the old one, to which the ring belongs.
inline std::uint64_t this_thread() noexcept {
    static std::atomic<std::uint64_t> threads{0};
    thread_local std::uint64_t number = 0;
    if (number == 0) number = threads.fetch_add(1, std::memory_order_relaxed) + 1;
    return number;
}

}  // namespace asyncio::lowlevel
