#include <asyncio/internal/frame_pool.h>

#include "base/large_memory.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace asyncio::internal {
namespace {

// The slabs of a thread grow as its needs do: each is as large as all before it together. So a
// small program stays small, at most half of the memory is ever unused, and the tasks of a large
// program lie on huge pages.
constexpr std::size_t first_slab_bytes = 64 * 1024;
constexpr std::size_t largest_slab_bytes = 32 * 1024 * 1024;

/// How many blocks a full list has.
constexpr std::size_t list_length(std::size_t granules) noexcept {
    return std::max<std::size_t>(full_list_granules / std::max<std::size_t>(granules, 1), 1);
}

/// Whether a list leads from one end of the memory to another. Its first blocks speak for the rest.
bool is_scattered(const FreeBlock* list) noexcept {
    constexpr int sample = 16;
    // So near, the processor has the next block, or fetches it in advance.
    constexpr std::uintptr_t near_bytes = 4096;
    int jumps = 0;
    for (int i = 0; i < sample && list->next != nullptr; ++i, list = list->next) {
        const auto step =
            reinterpret_cast<std::uintptr_t>(list->next) - reinterpret_cast<std::uintptr_t>(list);
        jumps += step + near_bytes > 2 * near_bytes;
    }
    return jumps > sample / 2;
}

/// The free blocks of one size that no thread has, as lists.
///
/// When many tasks have slept and ended in any order, their blocks come here in that order, and
/// whoever got them so would run from cache miss to cache miss: half of the time that a sleep
/// takes, if a million sleep. So the blocks of scattered lists are written down, and when there are
/// many, lists are made of them in the order of the memory; what is made next lies side by side
/// again. Sorting waits until a quarter of the blocks are new, so it is a constant cost for each.
class Stock {
public:
    bool empty() const noexcept { return !has_some_.load(std::memory_order_relaxed); }
    void put(FreeBlock* list) noexcept;
    /// Null if there is none.
    FreeBlock* take(std::size_t granules) noexcept;

private:
    static constexpr std::size_t worth_sorting = 16 * 1024;

    bool write_down(FreeBlock* list) noexcept;
    FreeBlock* make_list(std::size_t length) noexcept;

    FreeBlock* lists_ = nullptr;
    /// Blocks that are in none of the lists; the next to be used are at the end.
    std::vector<FreeBlock*> blocks_;
    std::size_t unsorted_ = 0;
    /// Changed with the depot's mutex held. Without it one may look whether there is something.
    std::atomic<bool> has_some_{false};
};

void Stock::put(FreeBlock* list) noexcept {
    if (list == nullptr) return;
    has_some_.store(true, std::memory_order_relaxed);
    if (is_scattered(list) && write_down(list)) return;
    list->next_list = std::exchange(lists_, list);
}

/// False if there is no memory for that.
bool Stock::write_down(FreeBlock* list) noexcept {
    try {
        blocks_.reserve(std::bit_ceil(blocks_.size() + list->length));
    } catch (const std::bad_alloc&) {
        return false;
    }
    unsorted_ += list->length;
    for (; list != nullptr; list = list->next) blocks_.push_back(list);
    return true;
}

FreeBlock* Stock::take(std::size_t granules) noexcept {
    FreeBlock* list = nullptr;
    if (lists_ != nullptr) {
        list = std::exchange(lists_, lists_->next_list);
    } else if (!blocks_.empty()) {
        list = make_list(std::min(blocks_.size(), list_length(granules)));
    }
    has_some_.store(lists_ != nullptr || !blocks_.empty(), std::memory_order_relaxed);
    return list;
}

FreeBlock* Stock::make_list(std::size_t length) noexcept {
    if (blocks_.size() >= worth_sorting && unsorted_ >= blocks_.size() / 4) {
        std::sort(blocks_.begin(), blocks_.end(), std::greater<>());
        unsorted_ = 0;
    }
    FreeBlock* list = nullptr;
    for (auto block = blocks_.end() - static_cast<std::ptrdiff_t>(length); block != blocks_.end();
         ++block) {
        (*block)->length = list != nullptr ? list->length + 1 : 1;
        (*block)->next = std::exchange(list, *block);
    }
    blocks_.resize(blocks_.size() - length);
    return list;
}

/// What outlives the threads: every slab (so that none is ever unreachable), and the blocks that no
/// thread has.
struct Depot {
    std::mutex mutex;
    std::vector<void*> slabs;
    Stock stocks[FreeLists::classes];
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
            shared.stocks[i].put(std::exchange(free_lists.first[i], nullptr));
            shared.stocks[i].put(std::exchange(free_lists.reserve[i], nullptr));
        }
    }
};

thread_local Slab slab;

FreeBlock* take_from_depot(std::size_t granules) {
    Depot& shared = depot();
    Stock& stock = shared.stocks[granules];
    if (stock.empty()) return nullptr;
    const std::lock_guard lock(shared.mutex);
    return stock.take(granules);
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
    shared.stocks[granules].put(before);
}

void register_thread() noexcept { free_lists.registered = slab.registered = true; }

}  // namespace asyncio::internal
