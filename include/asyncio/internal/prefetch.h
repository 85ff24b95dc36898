#pragma once
// Asking for memory before it is needed.
//
// What a task touches when it goes on was last touched when it parked, which may be long ago, and
// fetching it from memory takes as long as some hundred instructions. Who knows a little earlier
// what will be next can have it fetched meanwhile.
//
// Thread-safety: all functions, any thread.

#include <cstdint>

namespace asyncio::internal {

/// Asks for the cache line of `place` and its neighbours, which is about as much as a small frame
/// or a task has. Any address will do: nothing is read.
inline void prefetch_around(const void* place) noexcept {
    // As a number: around a null pointer there is nothing to point to.
    const auto line = reinterpret_cast<std::uintptr_t>(place) - 64;
    for (std::uintptr_t distance = 0; distance <= 128; distance += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(line + distance), 1);
    }
}

}  // namespace asyncio::internal
