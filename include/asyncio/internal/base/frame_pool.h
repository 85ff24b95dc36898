#pragma once
// Memory for coroutine frames and tasks.
//
// A program of coroutines asks for the same few sizes millions of times, and frees the blocks in
// any order. Freed blocks go to a list of their size class, one set of lists per thread, so the
// usual allocation is: take the first block of a list.
//
// A block may be freed on another thread than the one that allocated it, so the lists of the
// threads must meet. Otherwise, where coroutines are made on one thread and run on another, the
// first thread would cut chunk after chunk, and the second would never use what it frees. A thread
// keeps at most two lists of a class, the one in use and a full one in reserve. It hands further
// full lists to a depot, and takes a list from there before it cuts a new chunk. (These are
// Bonwick's magazines: "Magazines and Vmem", USENIX 2001. The reserve keeps a thread whose demand
// goes up and down around a full list away from the depot.) When a thread ends, its lists go to the
// depot too.
//
// Memory is cut in chunks of one size class. When all blocks of a chunk are in the depot, the chunk
// can serve another class (`base/frame_stock.h`). So a program that works in phases, each with
// frames of other sizes, needs the memory of the largest phase and not the sum of all. Memory stays
// with the process until it ends.
//
// Frames can also be plain: every block is then allocated from the system, so that a tool can
// detect a use after free. Frames are plain for the whole process or not at all. The library
// decides that when the first frame is made, and the compiler's flags of the program do not matter.
// Frames are plain in a process with the address, thread or leak sanitizer, and where the
// environment has ASYNCIO_FRAME_POOL=0. In such a process no block ever enters a list, so all calls
// take the slow paths, which ask.
//
// Thread-safety: all functions, any thread.

#include <cstddef>
#include <new>

namespace asyncio::internal {

inline constexpr std::size_t frame_granule_bytes = 16;
inline constexpr std::size_t largest_pooled_frame_bytes = 2048;

/// A list of 64 KiB is full: large enough that the depot is visited rarely, small enough that the
/// memory of an idle thread does not matter.
inline constexpr std::size_t full_list_granules = 64 * 1024 / frame_granule_bytes;

/// The links lie in the free memory itself, so a list costs no memory of its own. The smallest
/// block has two granules, so that all three members fit.
struct FreeBlock {
    FreeBlock* next;
    /// How many blocks the list has from here on.
    std::size_t length;
    /// In the depot, at the head of a list.
    FreeBlock* next_list;
};

/// The free blocks of one thread, by size in granules. Plain data without constructor or
/// destructor, so that reaching it is one addition to the thread pointer; `frame_pool.cpp`
/// registers what has to happen at the thread's end.
struct FreeLists {
    static constexpr std::size_t classes = largest_pooled_frame_bytes / frame_granule_bytes + 1;

    FreeBlock* first[classes];
    FreeBlock* reserve[classes];
    /// Whether the thread is registered, so that its end gives its blocks back.
    bool registered;
};

/// The program and its shared libraries share one set per thread, also where the program hides its
/// own symbols: a frame may be made in one of them and freed in the other.
[[gnu::visibility("default")]] inline constinit thread_local FreeLists free_lists{};

/// The size class of a block: its size in granules, rounded up. A frame wastes at most 15 bytes
/// that way (only the smallest class wastes more), and 128 classes cover all pooled sizes.
constexpr std::size_t granules_of(std::size_t size_bytes) noexcept {
    return (size_bytes + frame_granule_bytes - 1) / frame_granule_bytes;
}

/// Whether every frame is allocated from the system. The same answer until the process ends.
bool frames_are_plain() noexcept;

/// The slow path, when the list in use is empty: a block from elsewhere.
void* find_frame(std::size_t size_bytes);
/// The slow path of a thread that is not registered: it has neither taken nor freed a block before,
/// or frames are plain.
void free_first_frame(void* memory, std::size_t size_bytes) noexcept;
/// The list in use is full: makes room.
void put_list_by(std::size_t granules) noexcept;

/// The usual path takes the first block of the class's list, and touches only memory of the
/// thread's own.
inline void* allocate_frame(std::size_t size_bytes) {
    if (size_bytes > largest_pooled_frame_bytes) [[unlikely]]
        return ::operator new(size_bytes);
    FreeBlock*& first = free_lists.first[granules_of(size_bytes)];
    if (first == nullptr) return find_frame(size_bytes);
    FreeBlock* block = first;
    first = block->next;
    return block;
}

/// `size_bytes` is the size given to `allocate_frame`. A block has no header that would store it;
/// the compiler passes it to `operator delete`.
inline void free_frame(void* memory, std::size_t size_bytes) noexcept {
    if (size_bytes > largest_pooled_frame_bytes) [[unlikely]] {
        ::operator delete(memory);
        return;
    }
    const std::size_t granules = granules_of(size_bytes);
    FreeBlock* block = static_cast<FreeBlock*>(memory);
    FreeBlock*& first = free_lists.first[granules];
    if (first != nullptr) {
        block->length = first->length + 1;
    } else if (!free_lists.registered) [[unlikely]] {
        free_first_frame(memory, size_bytes);
        return;
    } else {
        block->length = 1;
    }
    block->next = first;
    first = block;
    if (block->length * granules >= full_list_granules) [[unlikely]]
        put_list_by(granules);
}

/// Gives a class, and everything derived from it, memory of the pool.
struct Pooled {
    static void* operator new(std::size_t size_bytes) { return allocate_frame(size_bytes); }
    static void operator delete(void* memory, std::size_t size_bytes) noexcept {
        free_frame(memory, size_bytes);
    }
    /// For an object that needs a wider alignment than the blocks of the pool have.
    static void* operator new(std::size_t size_bytes, std::align_val_t boundary) {
        return ::operator new(size_bytes, boundary);
    }
    /// Without the size: not every clang declares the operator that takes both.
    static void operator delete(void* memory, std::size_t, std::align_val_t boundary) noexcept {
        ::operator delete(memory, boundary);
    }
};

/// The memory of coroutine frames that hold an object with the alignment `boundary`. A compiler
/// asks for the memory of a frame without saying what alignment it needs. The parameter is a number
/// and not a type, because g++ 12 crashes on such a function of a template with a local type.
template <std::size_t boundary>
struct FrameFor {
    static void* operator new(std::size_t size_bytes) {
        if constexpr (boundary > frame_granule_bytes) {
            return ::operator new(size_bytes, std::align_val_t(boundary));
        } else {
            return allocate_frame(size_bytes);
        }
    }
    static void operator delete(void* memory, std::size_t size_bytes) noexcept {
        if constexpr (boundary > frame_granule_bytes) {
            ::operator delete(memory, std::align_val_t(boundary));
        } else {
            free_frame(memory, size_bytes);
        }
    }
};

}  // namespace asyncio::internal
