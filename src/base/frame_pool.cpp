// The slow paths of the frame pool, and the memory behind its fast ones.
//
// Four places hold memory, from the fastest to the slowest:
//
//     list in use ──► reserve of the thread ──► depot ──► new blocks, cut from a chunk
//
//  1. The list in use. The header takes from it and returns to it without a lock (frame_pool.h).
//  2. The reserve: one full list, which was put aside when the list in use became full.
//  3. The depot, shared by all threads (frame_stock.h). It has lists that other threads filled.
//  4. A chunk of the thread, from which new blocks are cut. When it is used up, a chunk comes from
//     the depot, and if the depot has none, from a new slab of the system's memory.
//
// Owners. A block that is free belongs to the list it is in, and a list to a thread or to the
// depot. Chunks belong to a thread while it cuts them; afterwards a chunk has no owner but its
// blocks. Slabs belong to the depot for ever: since blocks travel between threads, a thread's
// memory cannot end with the thread.
//
// The end of a thread. `free_lists` is plain data, so that reaching it costs one addition and no
// check whether it was constructed. Plain data has no destructor. The `Cutter` has one, and the
// language registers it when the thread first uses the object. Both slow paths that can be a
// thread's first one use it: `find_frame` before it takes a list from the depot, and
// `free_first_frame` in a thread that only frees. So every thread that has blocks gives them back
// at its end.
//
// Under sanitizers every block is the system's own. Only the slow paths ask for it. If frames are
// plain, no list ever holds a block, so the fast paths always lead to the slow ones.

#include <asyncio/internal/base/frame_pool.h>

#include "base/frame_stock.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

// Each symbol exists if the process has the runtime library of that sanitizer, even if only the
// program is built with it and this library is not. Weak, so that their absence is a null address
// and not an error of the linker.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are theirs.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __lsan_init();
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace asyncio::internal {
namespace {

// The slabs of a thread grow with its needs: each is as large as all before it together. So a small
// program stays small, at most half of the memory is ever unused, and the tasks of a large program
// lie on huge pages.
constexpr std::size_t first_slab_bytes = 2 * Chunk::size_bytes;
constexpr std::size_t largest_slab_bytes = 32 * 1024 * 1024;

/// The number of bytes that are cut at a time. Each visit to the slow path costs more than the
/// cutting, so one block at a time would be slow. A whole chunk at a time would write to memory
/// that may never be used.
constexpr std::size_t cut_bytes = 4096;

/// The memory from which a thread cuts new blocks, and the thread's end.
class Cutter {
public:
    /// Some new blocks, side by side, as a list. The list is built from its end, so that it hands
    /// the blocks out in the order of their addresses: frames that are made together then lie
    /// together. Throws: `std::bad_alloc`.
    FreeBlock* cut(std::size_t granules) {
        Uncut& chunk = chunks_[granules];
        const std::size_t size_bytes = block_bytes(granules);
        if (chunk.left_bytes() < size_bytes) chunk = next_chunk(granules);
        const std::size_t count = std::min(cut_bytes, chunk.left_bytes()) / size_bytes;
        char* end = chunk.cut(count * size_bytes) + count * size_bytes;
        FreeBlock* list = nullptr;
        for (std::size_t length = 1; length <= count; ++length) {
            end -= size_bytes;
            list = new (end) FreeBlock{list, length, nullptr};
        }
        return list;
    }

    /// Marks the thread as registered. Writing to a member is what makes the language construct the
    /// cutter and register its destructor. The mark in `free_lists` can be read without touching
    /// the cutter.
    void register_thread() noexcept { free_lists.registered = registered_ = true; }

    /// At the end of its thread: leaves the free blocks, the rests of the chunks and of the slab to
    /// other threads. A frame that a later destructor of this thread frees goes to the lists once
    /// more; those few blocks are then lost to the pool, but not to the depot's list of slabs.
    ~Cutter() {
        leave_lists();
        for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
            depot().put_chunk(granules, std::exchange(chunks_[granules], {}));
        }
        depot().put_memory(std::exchange(slab_, {}));
    }

private:
    /// Gives both lists of every size to the depot.
    static void leave_lists() noexcept {
        for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
            depot().put_list(granules, std::exchange(free_lists.first[granules], nullptr));
            depot().put_list(granules, std::exchange(free_lists.reserve[granules], nullptr));
        }
    }

    /// A chunk for blocks of this size: a rest or an empty chunk from the depot, else one from the
    /// slab. Before new memory is taken from the system, a sweep looks for chunks that became
    /// empty. This thread gives its own lists to the depot first, because the sweep counts only
    /// blocks there.
    Uncut next_chunk(std::size_t granules) {
        Uncut chunk = depot().take_chunk(granules);
        if (chunk.left_bytes() == 0 && depot().is_sweep_worth_it()) {
            leave_lists();
            depot().sweep();
            chunk = depot().take_chunk(granules);
        }
        return chunk.left_bytes() > 0 ? chunk : new_chunk();
    }

    /// A chunk of the slab. The slab's size is a multiple of a chunk's, so no rest is ever too
    /// small.
    Uncut new_chunk() {
        if (slab_.left_bytes() == 0) {
            slab_ =
                depot().take_memory(std::clamp(total_bytes_, first_slab_bytes, largest_slab_bytes));
            total_bytes_ += slab_.left_bytes();
        }
        auto* chunk = new (slab_.cut(Chunk::size_bytes)) Chunk{};
        return {chunk->begin(), chunk->end()};
    }

    Uncut chunks_[FreeLists::classes];
    Uncut slab_;
    /// The size of all slabs of this thread together, which is the size of the next one.
    std::size_t total_bytes_ = 0;
    bool registered_ = false;
};

thread_local Cutter cutter;

/// A sanitizer finds a use after free only in blocks that it manages itself. The variable is for
/// tools that cannot be recognised, valgrind for example.
bool wants_plain_frames() noexcept {
    if (&__asan_init != nullptr || &__tsan_init != nullptr || &__lsan_init != nullptr) return true;
    const char* wanted = std::getenv("ASYNCIO_FRAME_POOL");
    return wanted != nullptr && std::string_view(wanted) == "0";
}

}  // namespace

bool frames_are_plain() noexcept {
    static const bool answer = wants_plain_frames();
    return answer;
}

/// The list in use is empty: the reserve, the depot and new blocks are tried in this order, which
/// is that of their cost. The first block is the result, and the rest becomes the list in use.
void* find_frame(std::size_t size_bytes) {
    if (frames_are_plain()) return ::operator new(size_bytes);
    // A thread that takes a list from the depot has to give it back at its end, also if it never
    // cuts blocks of its own.
    cutter.register_thread();
    const std::size_t granules = granules_of(size_bytes);
    FreeBlock* list = std::exchange(free_lists.reserve[granules], nullptr);
    if (list == nullptr) list = depot().take_list(granules);
    if (list == nullptr) list = cutter.cut(granules);
    free_lists.first[granules] = list->next;
    return list;
}

/// The first block that an unregistered thread frees. From here on the thread is registered, so its
/// end gives its blocks back.
void free_first_frame(void* memory, std::size_t size_bytes) noexcept {
    if (frames_are_plain()) {
        ::operator delete(memory);
        return;
    }
    cutter.register_thread();
    free_frame(memory, size_bytes);
}

/// The list in use is full and becomes the reserve; the reserve that was there before goes to the
/// depot. So a thread that makes and frees around a full list exchanges the two and does not visit
/// the depot.
void put_list_by(std::size_t granules) noexcept {
    FreeBlock* full = std::exchange(free_lists.first[granules], nullptr);
    FreeBlock* before = std::exchange(free_lists.reserve[granules], full);
    depot().put_list(granules, before);
}

}  // namespace asyncio::internal
