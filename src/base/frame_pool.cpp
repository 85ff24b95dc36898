#include <asyncio/internal/frame_pool.h>

#include <mutex>
#include <vector>

namespace asyncio::internal {
namespace {

constexpr std::size_t slab_bytes = 256 * 1024;

/// What outlives the threads: every slab (so that none is ever unreachable) and the free blocks of
/// ended threads.
struct Legacy {
    std::mutex mutex;
    std::vector<void*> slabs;
    FreeLists orphans{};
};

/// Never destroyed: frames may be freed by the destructors of other statics.
Legacy& legacy() {
    static Legacy* const instance = new Legacy;
    return *instance;
}

void prepend(FreeBlock*& target, FreeBlock*& source) noexcept {
    if (source == nullptr) return;
    FreeBlock* last = source;
    while (last->next != nullptr) last = last->next;
    last->next = target;
    target = source;
    source = nullptr;
}

struct Slab {
    char* unused = nullptr;
    std::size_t left_bytes = 0;

    /// At a thread's end its free blocks are left to others. The uncut rest of its slab is not
    /// worth keeping.
    ~Slab() {
        Legacy& estate = legacy();
        const std::lock_guard lock(estate.mutex);
        for (std::size_t i = 0; i < std::size(free_lists.first); ++i) {
            prepend(estate.orphans.first[i], free_lists.first[i]);
        }
    }
};

thread_local Slab slab;

void begin_slab() {
    Legacy& estate = legacy();
    const std::lock_guard lock(estate.mutex);
    estate.slabs.reserve(estate.slabs.size() + 1);
    slab.unused = static_cast<char*>(::operator new(slab_bytes));
    slab.left_bytes = slab_bytes;
    estate.slabs.push_back(slab.unused);
    // A thread that needs a slab may as well inherit: this is the one place where it holds the lock
    // anyway.
    for (std::size_t i = 0; i < std::size(free_lists.first); ++i) {
        prepend(free_lists.first[i], estate.orphans.first[i]);
    }
}

}  // namespace

void* cut_frame(std::size_t granules) {
    const std::size_t size_bytes = granules * frame_granule_bytes;
    if (slab.left_bytes < size_bytes) {
        begin_slab();
        if (FreeBlock* inherited = free_lists.first[granules]) {
            free_lists.first[granules] = inherited->next;
            return inherited;
        }
    }
    char* block = slab.unused;
    slab.unused += size_bytes;
    slab.left_bytes -= size_bytes;
    return block;
}

}  // namespace asyncio::internal
