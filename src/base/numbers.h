#pragma once
// Numbers that no two things of a kind share, as long as the program runs: what an address cannot
// be, for memory that is given back is used again.
//
// Thread-safety: any thread. A thread takes its numbers by the thousand, for an atomic addition
// costs as much as a third of a task's life.

#include <atomic>
#include <cstdint>

namespace asyncio::internal {

/// The next number of the kind, from 1.
template <class Kind>
std::uint64_t next_number() noexcept {
    constexpr std::uint64_t block = 1000;
    static constinit std::atomic<std::uint64_t> numbers_taken{0};
    static constinit thread_local std::uint64_t last = 0;

    if (last % block == 0) last = numbers_taken.fetch_add(block, std::memory_order_relaxed);
    return ++last;
}

}  // namespace asyncio::internal
