#include <asyncio/internal/frame_pool.h>

#include "base/frame_stock.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

// Each is there if the process has the runtime library of that sanitizer, be it that only the
// program is built with it and this library is not.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are theirs.
extern "C" {
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __lsan_init();
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace asyncio::internal {
namespace {

// The slabs of a thread grow as its needs do: each is as large as all before it together. So a
// small program stays small, at most half of the memory is ever unused, and the tasks of a large
// program lie on huge pages.
constexpr std::size_t first_slab_bytes = 2 * Chunk::size_bytes;
constexpr std::size_t largest_slab_bytes = 32 * 1024 * 1024;

/// So much is cut at a time: each visit to the slow path costs more than the blocks.
constexpr std::size_t cut_bytes = 4096;

/// What a thread cuts new blocks from.
class Cutter {
public:
    /// Some new blocks, side by side. Throws: `std::bad_alloc`.
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

    /// Writes here, which is what registers the destructor.
    void register_thread() noexcept { free_lists.registered = registered_ = true; }

    /// At a thread's end its free blocks and the rests of its chunks are left to others.
    ~Cutter() {
        leave_lists();
        for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
            depot().put_chunk(granules, std::exchange(chunks_[granules], {}));
        }
        depot().put_memory(std::exchange(slab_, {}));
    }

private:
    static void leave_lists() noexcept {
        for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
            depot().put_list(granules, std::exchange(free_lists.first[granules], nullptr));
            depot().put_list(granules, std::exchange(free_lists.reserve[granules], nullptr));
        }
    }

    Uncut next_chunk(std::size_t granules) {
        Uncut chunk = depot().take_chunk(granules);
        if (chunk.left_bytes() == 0 && depot().is_sweep_worth_it()) {
            leave_lists();
            depot().sweep();
            chunk = depot().take_chunk(granules);
        }
        return chunk.left_bytes() > 0 ? chunk : new_chunk();
    }

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
    /// Of all slabs of this thread so far.
    std::size_t total_bytes_ = 0;
    bool registered_ = false;
};

thread_local Cutter cutter;

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

void* find_frame(std::size_t size_bytes) {
    if (frames_are_plain()) return ::operator new(size_bytes);
    // A thread that takes from the depot has to give back at its end, also if it makes no memory of
    // its own.
    cutter.register_thread();
    const std::size_t granules = granules_of(size_bytes);
    FreeBlock* list = std::exchange(free_lists.reserve[granules], nullptr);
    if (list == nullptr) list = depot().take_list(granules);
    if (list == nullptr) list = cutter.cut(granules);
    free_lists.first[granules] = list->next;
    return list;
}

void free_first_frame(void* memory, std::size_t size_bytes) noexcept {
    if (frames_are_plain()) {
        ::operator delete(memory);
        return;
    }
    cutter.register_thread();
    free_frame(memory, size_bytes);
}

void put_list_by(std::size_t granules) noexcept {
    FreeBlock* full = std::exchange(free_lists.first[granules], nullptr);
    FreeBlock* before = std::exchange(free_lists.reserve[granules], full);
    depot().put_list(granules, before);
}

}  // namespace asyncio::internal
