#include <asyncio/internal/frame_pool.h>

#include "base/large_memory.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

namespace asyncio::internal {
namespace {

// The slabs of a thread grow as its needs do: each is as large as all before it together. So a
// small program stays small, at most half of the memory is ever unused, and the tasks of a large
// program lie on huge pages.
constexpr std::size_t first_slab_bytes = 64 * 1024;
constexpr std::size_t largest_slab_bytes = 32 * 1024 * 1024;

/// What outlives the threads: every slab (so that none is ever unreachable), and the lists that no
/// thread has.
struct Depot {
    std::mutex mutex;
    std::vector<void*> slabs;
    /// Changed with the mutex held. Without it one may look whether there is something.
    std::atomic<FreeBlock*> lists[FreeLists::classes] = {};

    bool has(std::size_t granules) const noexcept {
        return lists[granules].load(std::memory_order_relaxed) != nullptr;
    }
    void put(std::size_t granules, FreeBlock* list) noexcept {
        if (list == nullptr) return;
        list->next_list = lists[granules].load(std::memory_order_relaxed);
        lists[granules].store(list, std::memory_order_relaxed);
    }
    FreeBlock* take(std::size_t granules) noexcept {
        FreeBlock* list = lists[granules].load(std::memory_order_relaxed);
        if (list != nullptr) lists[granules].store(list->next_list, std::memory_order_relaxed);
        return list;
    }
};

/// Never destroyed: frames may be freed by the destructors of other statics.
Depot& depot() {
    static Depot* const instance = new Depot;
    return *instance;
}

struct Slab {
    char* unused = nullptr;
    std::size_t left_bytes = 0;
    /// Of all slabs of this thread so far.
    std::size_t total_bytes = 0;
    /// Written so that the slab is touched, which is what registers its destructor.
    bool registered = false;

    /// At a thread's end its free blocks are left to others. The uncut rest of its slab is not
    /// worth keeping.
    ~Slab() {
        Depot& shared = depot();
        const std::lock_guard lock(shared.mutex);
        for (std::size_t i = 0; i < FreeLists::classes; ++i) {
            shared.put(i, std::exchange(free_lists.first[i], nullptr));
            shared.put(i, std::exchange(free_lists.reserve[i], nullptr));
        }
    }
};

thread_local Slab slab;

FreeBlock* take_from_depot(std::size_t granules) {
    Depot& shared = depot();
    if (!shared.has(granules)) return nullptr;
    const std::lock_guard lock(shared.mutex);
    return shared.take(granules);
}

void begin_slab() {
    const std::size_t size_bytes =
        std::clamp(slab.total_bytes, first_slab_bytes, largest_slab_bytes);
    Depot& shared = depot();
    const std::lock_guard lock(shared.mutex);
    shared.slabs.reserve(shared.slabs.size() + 1);
    slab.unused = static_cast<char*>(allocate_large(size_bytes));
    slab.left_bytes = size_bytes;
    slab.total_bytes += size_bytes;
    shared.slabs.push_back(slab.unused);
}

}  // namespace

void* find_frame(std::size_t granules) {
    const std::size_t size_bytes =
        std::max(granules * frame_granule_bytes, 2 * frame_granule_bytes);
    static_assert(sizeof(FreeBlock) <= 2 * frame_granule_bytes);

    FreeBlock* list = std::exchange(free_lists.reserve[granules], nullptr);
    if (list == nullptr) list = take_from_depot(granules);
    if (list != nullptr) {
        free_lists.first[granules] = list->next;
        return list;
    }
    if (slab.left_bytes < size_bytes) begin_slab();
    char* block = slab.unused;
    slab.unused += size_bytes;
    slab.left_bytes -= size_bytes;
    return block;
}

void put_list_by(std::size_t granules) noexcept {
    FreeBlock* full = std::exchange(free_lists.first[granules], nullptr);
    FreeBlock* before = std::exchange(free_lists.reserve[granules], full);
    if (before == nullptr) return;
    Depot& shared = depot();
    const std::lock_guard lock(shared.mutex);
    shared.put(granules, before);
}

void register_thread() noexcept { free_lists.registered = slab.registered = true; }

}  // namespace asyncio::internal
