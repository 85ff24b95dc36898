#include <asyncio/internal/frame_pool.h>

#include "base/large_memory.h"

#include <algorithm>
#include <atomic>
#include <bit>
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

/// The free blocks of one size that no thread has.
///
/// When many tasks have slept and ended in any order, their blocks come here in that order, and
/// whoever got them so would run from cache miss to cache miss: half of the time that a sleep
/// takes, if a million sleep. So a large stock is put in order before blocks are taken from it, and
/// what is made next lies side by side again. Sorting waits until half of the stock is unsorted,
/// which makes it a constant cost for each block.
class Stock {
public:
    bool empty() const noexcept { return count_.load(std::memory_order_relaxed) == 0; }
    void put(FreeBlock* list) noexcept;
    /// A list, full or what there is; null if there is nothing.
    FreeBlock* take(std::size_t granules) noexcept;

private:
    static constexpr std::size_t worth_sorting = 16 * 1024;

    void put_in_order() noexcept;

    std::vector<FreeBlock*> blocks_;
    /// So many at the front of `blocks_` are in descending order of their addresses.
    std::size_t sorted_ = 0;
    /// Lists for which the system had no memory to write their blocks down.
    FreeBlock* unlisted_ = nullptr;
    /// Changed with the depot's mutex held. Without it one may look whether there is something.
    std::atomic<std::size_t> count_{0};
};

void Stock::put(FreeBlock* list) noexcept {
    if (list == nullptr) return;
    count_.fetch_add(list->length, std::memory_order_relaxed);
    try {
        blocks_.reserve(std::bit_ceil(blocks_.size() + list->length));
    } catch (const std::bad_alloc&) {
        list->next_list = std::exchange(unlisted_, list);
        return;
    }
    for (; list != nullptr; list = list->next) blocks_.push_back(list);
}

FreeBlock* Stock::take(std::size_t granules) noexcept {
    FreeBlock* list = nullptr;
    if (blocks_.empty()) {
        if (unlisted_ == nullptr) return nullptr;
        list = std::exchange(unlisted_, unlisted_->next_list);
    } else {
        put_in_order();
        const std::size_t length = std::min(blocks_.size(), list_length(granules));
        for (auto block = blocks_.end() - static_cast<std::ptrdiff_t>(length);
             block != blocks_.end(); ++block) {
            (*block)->length = list != nullptr ? list->length + 1 : 1;
            (*block)->next = std::exchange(list, *block);
        }
        blocks_.resize(blocks_.size() - length);
        sorted_ = std::min(sorted_, blocks_.size());
    }
    count_.fetch_sub(list->length, std::memory_order_relaxed);
    return list;
}

void Stock::put_in_order() noexcept {
    if (blocks_.size() < worth_sorting || sorted_ > blocks_.size() / 2) return;
    std::sort(blocks_.begin(), blocks_.end(), std::greater<>());
    sorted_ = blocks_.size();
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
