#pragma once
// Numbers that no two objects of a kind share, as long as the program runs. An address is not such
// a number: memory that is given back is used again.
//
// Thread-safety: any thread. A thread takes its numbers by the thousand, because an atomic addition
// for each would cost as much as a third of a task's life. So the numbers of two threads do not
// tell which object was made first.

#include <atomic>
#include <cstdint>

namespace asyncio::internal {

/// The next number of the kind, from 1.
template <class Kind>
std::uint64_t next_number() noexcept {
    constexpr std::uint64_t block = 1000;
    static constinit std::atomic<std::uint64_t> numbers_taken{0};
    static constinit thread_local std::uint64_t last = 0;

    // Numbers of a block end at a multiple of `block`, so the remainder tells when it is used up.
    // The order is relaxed: only the sum has to be right, and nothing else is published by it.
    if (last % block == 0) last = numbers_taken.fetch_add(block, std::memory_order_relaxed);
    return ++last;
}

}  // namespace asyncio::internal
