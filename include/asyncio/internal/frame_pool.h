#pragma once
// Memory for coroutine frames and tasks.
//
// A program of coroutines asks for the same few sizes millions of times and gives them back in any
// order. Freed blocks go to a list of their size class, one set of lists per thread, so the usual
// allocation is: take the first of a list. Nothing is ever given back to the system before the
// process ends: a block may be freed on another thread than the one that made it, so the slab it
// was cut from can never be known to be empty. What a thread has when it ends is left to the
// threads that come after it.
//
// Under AddressSanitizer every block is the system's own, for a use after free must be seen as one.
//
// Thread-safety: all functions, any thread.

#include <cstddef>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define ASYNCIO_INTERNAL_PLAIN_FRAMES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASYNCIO_INTERNAL_PLAIN_FRAMES 1
#endif
#endif

namespace asyncio::internal {

inline constexpr std::size_t frame_granule_bytes = 16;
inline constexpr std::size_t largest_pooled_frame_bytes = 2048;

struct FreeBlock {
    FreeBlock* next;
};

/// The free blocks of one thread, by size in granules. Plain data without constructor or
/// destructor, so that reaching it is one addition to the thread pointer; `frame_pool.cpp`
/// registers what has to happen at the thread's end.
struct FreeLists {
    FreeBlock* first[largest_pooled_frame_bytes / frame_granule_bytes + 1];
};

inline constinit thread_local FreeLists free_lists{};

/// The slow path: a fresh block from the thread's slab, or from a new one.
void* cut_frame(std::size_t granules);

inline void* allocate_frame(std::size_t size_bytes) {
#ifndef ASYNCIO_INTERNAL_PLAIN_FRAMES
    if (size_bytes <= largest_pooled_frame_bytes) [[likely]] {
        const std::size_t granules = (size_bytes + frame_granule_bytes - 1) / frame_granule_bytes;
        FreeBlock*& first = free_lists.first[granules];
        if (first == nullptr) return cut_frame(granules);
        FreeBlock* block = first;
        first = block->next;
        return block;
    }
#endif
    return ::operator new(size_bytes);
}

/// `size_bytes` is what was asked for.
inline void free_frame(void* memory, std::size_t size_bytes) noexcept {
#ifndef ASYNCIO_INTERNAL_PLAIN_FRAMES
    if (size_bytes <= largest_pooled_frame_bytes) [[likely]] {
        const std::size_t granules = (size_bytes + frame_granule_bytes - 1) / frame_granule_bytes;
        FreeBlock* block = static_cast<FreeBlock*>(memory);
        FreeBlock*& first = free_lists.first[granules];
        block->next = first;
        first = block;
        return;
    }
#endif
    ::operator delete(memory, size_bytes);
}

/// Gives a class, and everything derived from it, memory of the pool.
struct Pooled {
    static void* operator new(std::size_t size_bytes) { return allocate_frame(size_bytes); }
    static void operator delete(void* memory, std::size_t size_bytes) noexcept {
        free_frame(memory, size_bytes);
    }
};

}  // namespace asyncio::internal
