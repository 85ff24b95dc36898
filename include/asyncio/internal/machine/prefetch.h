#pragma once
// Asking for memory before it is needed.
//
// A task that goes on touches memory that it last touched when it parked, perhaps long ago.
// Fetching that from main memory takes as long as some hundred instructions. Code that knows a
// little earlier which task comes next can have its memory fetched meanwhile.
//
// Thread-safety: all functions, any thread.

#include <cstdint>

namespace asyncio::internal {

/// Asks for the cache line of `place` and its neighbours, which is about as much as a small frame
/// or a task has. Any address will do: nothing is read.
inline void prefetch_around(const void* place) noexcept {
    // Calculated as a number: pointer arithmetic around a null pointer would be undefined.
    const auto line = reinterpret_cast<std::uintptr_t>(place) - 64;
    for (std::uintptr_t distance = 0; distance <= 128; distance += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(line + distance), 1);
    }
}

}  // namespace asyncio::internal
