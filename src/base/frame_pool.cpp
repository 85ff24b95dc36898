#include <asyncio/internal/frame_pool.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace asyncio::internal {
namespace {

constexpr std::size_t slab_bytes = 256 * 1024;

/// What outlives the threads: every slab (so that none is ever unreachable), and the lists that no
/// thread has.
struct Depot {
    std::mutex mutex;
    std::vector<void*> slabs;
    FreeBlock* lists[FreeLists::classes] = {};

    void put(std::size_t granules, FreeBlock* list) noexcept {
        if (list == nullptr) return;
        list->next_list = std::exchange(lists[granules], list);
    }
    FreeBlock* take(std::size_t granules) noexcept {
        FreeBlock* list = lists[granules];
        if (list != nullptr) lists[granules] = list->next_list;
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

/// A list from the depot; null if it has none, and then the slab is a new one.
FreeBlock* list_or_slab(std::size_t granules) {
    Depot& shared = depot();
    const std::lock_guard lock(shared.mutex);
    if (FreeBlock* list = shared.take(granules)) return list;
    shared.slabs.reserve(shared.slabs.size() + 1);
    slab.unused = static_cast<char*>(::operator new(slab_bytes));
    slab.left_bytes = slab_bytes;
    shared.slabs.push_back(slab.unused);
    return nullptr;
}

}  // namespace

void* find_frame(std::size_t granules) {
    const std::size_t size_bytes =
        std::max(granules * frame_granule_bytes, 2 * frame_granule_bytes);
    static_assert(sizeof(FreeBlock) <= 2 * frame_granule_bytes);

    FreeBlock* list = std::exchange(free_lists.reserve[granules], nullptr);
    if (list == nullptr && slab.left_bytes < size_bytes) list = list_or_slab(granules);
    if (list != nullptr) {
        free_lists.first[granules] = list->next;
        return list;
    }
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
