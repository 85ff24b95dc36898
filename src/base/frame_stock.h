#pragma once
// The free frames that belong to no thread, and the memory from which new ones are cut.
//
// Memory comes from the system in slabs, and a slab is divided into chunks. The blocks of a chunk
// have one size. A thread cuts the blocks of its chunk one by one. They are freed in any order, on
// any thread. So counting the living blocks of a chunk would cost too much. Chunks are looked at
// only when a thread would need a new slab. A *sweep* then counts, for each chunk, how many of its
// blocks lie in the depot. If all of them do, the chunk is empty, and may be cut again, into blocks
// of another size.
//
// Thread-safety: under the depot's mutex. A function that needs no mutex says so: it locks by
// itself, or it only asks.

#include <asyncio/internal/base/frame_pool.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace asyncio::internal {

/// A part of a slab. It begins at a multiple of its size, so that clearing the low bits of a
/// block's address leads to its chunk.
struct Chunk {
    static constexpr std::size_t size_bytes = 64 * 1024;

    /// The next in the list of empty chunks. Has no meaning outside it.
    Chunk* next;
    /// During a sweep: how many blocks were found to be free. At other times 0.
    std::size_t free_blocks;

    static Chunk& of(const void* block) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(block);
        return *reinterpret_cast<Chunk*>(address & ~(size_bytes - 1));
    }
    char* begin() noexcept { return reinterpret_cast<char*>(this) + sizeof(Chunk); }
    char* end() noexcept { return reinterpret_cast<char*>(this) + size_bytes; }
};
static_assert(sizeof(Chunk) % frame_granule_bytes == 0);

/// Memory that is not yet cut: the rest of a chunk, or of a slab.
struct Uncut {
    char* unused = nullptr;
    char* end = nullptr;

    std::size_t left_bytes() const noexcept { return static_cast<std::size_t>(end - unused); }
    char* cut(std::size_t size_bytes) noexcept {
        char* begin = unused;
        unused += size_bytes;
        return begin;
    }
};

/// The size of a block. A free block has to hold what the pool notes in it (`FreeBlock`), so the
/// smallest class is a little larger than its name.
constexpr std::size_t block_bytes(std::size_t granules) noexcept {
    static_assert(sizeof(FreeBlock) <= 2 * frame_granule_bytes);
    return std::max<std::size_t>(granules, 2) * frame_granule_bytes;
}

/// The number of blocks that are cut from a chunk. Its header and a rest that is too small are left
/// over.
constexpr std::size_t blocks_of_chunk(std::size_t granules) noexcept {
    return (Chunk::size_bytes - sizeof(Chunk)) / block_bytes(granules);
}

/// The number of blocks of a full list, which is about 64 KiB of memory in every class.
constexpr std::size_t list_length(std::size_t granules) noexcept {
    return std::max<std::size_t>(full_list_granules / std::max<std::size_t>(granules, 1), 1);
}

/// The free blocks of one size that belong to no thread, as lists, and chunks to cut more from.
///
/// When many tasks have slept and ended in any order, their blocks come here in that order. The
/// thread that takes them next would then jump from cache miss to cache miss: with a million
/// sleeping tasks, this is half of the time that a sleep takes. So the blocks of scattered lists
/// are written down, and when there are many, lists are made of them in the order of the memory.
/// Frames that are made next lie side by side again. Sorting waits until a quarter of the blocks
/// are new, so its cost for each block is constant.
class Stock {
public:
    constexpr Stock() noexcept = default;

    /// Needs no mutex: a hint.
    bool empty() const noexcept { return count() == 0; }
    /// Needs no mutex: a hint.
    bool has_rest() const noexcept { return rests_.load(std::memory_order_relaxed) != nullptr; }
    /// How many blocks there are, in lists and written down. Needs no mutex: a hint.
    std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
    void put(FreeBlock* list) noexcept;
    /// Null if there is none.
    FreeBlock* take(std::size_t granules) noexcept;
    /// Gives up the blocks of chunks that are empty; returns those chunks as a list in front of
    /// `empty_chunks`.
    Chunk* sweep(std::size_t granules, Chunk* empty_chunks) noexcept;

    /// The rest of a chunk whose thread has ended. It has room for a block.
    void put_rest(Uncut chunk) noexcept;
    Uncut take_rest() noexcept;

private:
    /// A note about the rest of a chunk, written at the beginning of the rest itself.
    struct Rest {
        Rest* next;
        char* end;
    };

    /// With fewer blocks than this the sorting costs more than the cache misses.
    static constexpr std::size_t worth_sorting = 16 * 1024;

    bool write_down(FreeBlock* list) noexcept;
    bool write_all_down() noexcept;
    FreeBlock* make_list(std::size_t length) noexcept;
    void give_back_room() noexcept;

    /// Lists as they came, the latest first.
    FreeBlock* lists_ = nullptr;
    /// Blocks that are in none of the lists. They are taken from the end.
    std::vector<FreeBlock*> blocks_;
    /// How many of them came after the last sorting.
    std::size_t unsorted_ = 0;
    /// Changed with the depot's mutex held, and read without it.
    std::atomic<std::size_t> count_{0};
    std::atomic<Rest*> rests_{nullptr};
};

/// The shared stock of all sizes. It outlives the threads.
class Depot {
public:
    /// Needs no mutex. Null if there is nothing.
    FreeBlock* take_list(std::size_t granules) noexcept;
    /// Needs no mutex.
    void put_list(std::size_t granules, FreeBlock* list) noexcept;
    /// Needs no mutex. A chunk that has been used before, or the rest of one; nothing if there is
    /// none.
    Uncut take_chunk(std::size_t granules) noexcept;
    /// Needs no mutex. The rest of a chunk whose thread has ended.
    void put_chunk(std::size_t granules, Uncut rest) noexcept;
    /// Needs no mutex. Whole chunks for a thread that has none left, at best `wanted_bytes`.
    /// Throws: `std::bad_alloc`.
    Uncut take_memory(std::size_t wanted_bytes);
    /// Needs no mutex. The rest of a slab whose thread has ended.
    void put_memory(Uncut rest) noexcept;

    /// Needs no mutex. Whether a sweep is likely to find enough for what it costs.
    bool is_sweep_worth_it() const noexcept;
    /// Needs no mutex. Looks for empty chunks. The lists of other threads are not seen, and a few
    /// blocks there may keep many chunks from being empty.
    void sweep() noexcept;

    std::mutex mutex;

private:
    std::size_t free_bytes() const noexcept;
    Chunk* pop_empty_chunk() noexcept;

    Stock stocks_[FreeLists::classes];
    /// Every slab. They are never freed; the list keeps them reachable for a leak checker.
    std::vector<void*> slabs_;
    /// Rests of slabs whose thread has ended: whole chunks that were never cut.
    std::vector<Uncut> rests_;
    /// The list of empty chunks. Changed under the mutex; a look without it tells whether there is
    /// one.
    std::atomic<Chunk*> empty_chunks_{nullptr};
    std::atomic<std::size_t> slab_bytes_{0};
    /// How many bytes of free blocks the last sweep has left in the stocks.
    std::atomic<std::size_t> left_by_sweep_bytes_{0};
};

/// Never destroyed: frames may be freed by the destructors of other statics.
Depot& depot() noexcept;

}  // namespace asyncio::internal
