#include "base/frame_stock.h"

#include "base/large_memory.h"

#include <bit>
#include <functional>
#include <new>
#include <utility>

#include <pthread.h>

namespace asyncio::internal {
namespace {

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

}  // namespace

// --- The stock of one class ----------------------------------------------------------------------

void Stock::put(FreeBlock* list) noexcept {
    if (list == nullptr) return;
    count_.store(count() + list->length, std::memory_order_relaxed);
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
    if (list != nullptr) count_.store(count() - list->length, std::memory_order_relaxed);
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

// --- Chunks that are empty -----------------------------------------------------------------------

bool Stock::write_all_down() noexcept {
    while (lists_ != nullptr) {
        FreeBlock* following = lists_->next_list;
        if (!write_down(lists_)) return false;
        lists_ = following;
    }
    return true;
}

Chunk* Stock::sweep(std::size_t granules, Chunk* empty_chunks) noexcept {
    // What could not be written down stays in its list, and keeps its chunks from being empty.
    static_cast<void>(write_all_down());
    const std::size_t all = blocks_of_chunk(granules);
    for (FreeBlock* block : blocks_) ++Chunk::of(block).free_blocks;
    // A count beyond what is possible says that the chunk is in the list already.
    const std::size_t listed = all + 1;
    const auto is_of_empty_chunk = [&](FreeBlock* block) {
        Chunk& chunk = Chunk::of(block);
        if (chunk.free_blocks < all) return false;
        if (chunk.free_blocks != listed) {
            chunk.free_blocks = listed;
            chunk.next = std::exchange(empty_chunks, &chunk);
        }
        return true;
    };
    std::erase_if(blocks_, is_of_empty_chunk);
    for (FreeBlock* block : blocks_) Chunk::of(block).free_blocks = 0;
    count_.store(blocks_.size(), std::memory_order_relaxed);
    for (FreeBlock* list = lists_; list != nullptr; list = list->next_list) {
        count_.store(count() + list->length, std::memory_order_relaxed);
    }
    give_back_room();
    return empty_chunks;
}

/// The room for what is written down may be a tenth of the blocks themselves.
void Stock::give_back_room() noexcept {
    unsorted_ = std::min(unsorted_, blocks_.size());
    if (blocks_.capacity() < 4 * blocks_.size() + worth_sorting) return;
    try {
        blocks_.shrink_to_fit();
    } catch (const std::bad_alloc&) {
        // Then it stays as large as it is.
    }
}

void Stock::put_rest(Uncut chunk) noexcept {
    Rest* following = rests_.load(std::memory_order_relaxed);
    rests_.store(new (chunk.unused) Rest{following, chunk.end}, std::memory_order_relaxed);
}

Uncut Stock::take_rest() noexcept {
    Rest* rest = rests_.load(std::memory_order_relaxed);
    if (rest == nullptr) return {};
    rests_.store(rest->next, std::memory_order_relaxed);
    return {reinterpret_cast<char*>(rest), rest->end};
}

// --- The depot -----------------------------------------------------------------------------------

FreeBlock* Depot::take_list(std::size_t granules) noexcept {
    Stock& stock = stocks_[granules];
    if (stock.empty()) return nullptr;
    const std::lock_guard lock(mutex);
    return stock.take(granules);
}

void Depot::put_list(std::size_t granules, FreeBlock* list) noexcept {
    if (list == nullptr) return;
    const std::lock_guard lock(mutex);
    stocks_[granules].put(list);
}

Uncut Depot::take_chunk(std::size_t granules) noexcept {
    Stock& stock = stocks_[granules];
    const bool has_empty_chunk = empty_chunks_.load(std::memory_order_relaxed) != nullptr;
    if (!has_empty_chunk && !stock.has_rest()) return {};
    const std::lock_guard lock(mutex);
    if (stock.has_rest()) return stock.take_rest();
    if (Chunk* chunk = pop_empty_chunk()) return {chunk->begin(), chunk->end()};
    return {};
}

void Depot::put_chunk(std::size_t granules, Uncut rest) noexcept {
    if (rest.left_bytes() < block_bytes(granules)) return;
    const std::lock_guard lock(mutex);
    stocks_[granules].put_rest(rest);
}

Chunk* Depot::pop_empty_chunk() noexcept {
    Chunk* chunk = empty_chunks_.load(std::memory_order_relaxed);
    if (chunk == nullptr) return nullptr;
    empty_chunks_.store(chunk->next, std::memory_order_relaxed);
    chunk->free_blocks = 0;
    return chunk;
}

Uncut Depot::take_memory(std::size_t wanted_bytes) {
    const std::lock_guard lock(mutex);
    if (!rests_.empty()) {
        const Uncut rest = rests_.back();
        rests_.pop_back();
        return rest;
    }
    slabs_.reserve(slabs_.size() + 1);
    auto* slab = static_cast<char*>(allocate_large(wanted_bytes, Chunk::size_bytes));
    slabs_.push_back(slab);
    slab_bytes_.store(slab_bytes_.load() + wanted_bytes, std::memory_order_relaxed);
    return {slab, slab + wanted_bytes};
}

void Depot::put_memory(Uncut rest) noexcept {
    if (rest.left_bytes() == 0) return;
    const std::lock_guard lock(mutex);
    try {
        rests_.push_back(rest);
    } catch (const std::bad_alloc&) {
        // Then nobody uses it.
    }
}

std::size_t Depot::free_bytes() const noexcept {
    std::size_t sum = 0;
    for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
        sum += stocks_[granules].count() * block_bytes(granules);
    }
    return sum;
}

/// A sweep looks at every free block. So these have to be a part of all memory that counts, and not
/// the ones of which the last sweep could make nothing.
bool Depot::is_sweep_worth_it() const noexcept {
    constexpr std::size_t least_bytes = 1024 * 1024;
    const std::size_t free = free_bytes();
    const std::size_t left = left_by_sweep_bytes_.load(std::memory_order_relaxed);
    return free >= least_bytes && free >= slab_bytes_.load(std::memory_order_relaxed) / 8 &&
           free >= left + left / 4;
}

void Depot::sweep() noexcept {
    const std::lock_guard lock(mutex);
    Chunk* empty = empty_chunks_.load(std::memory_order_relaxed);
    for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
        if (!stocks_[granules].empty()) empty = stocks_[granules].sweep(granules, empty);
    }
    empty_chunks_.store(empty, std::memory_order_relaxed);
    left_by_sweep_bytes_.store(free_bytes(), std::memory_order_relaxed);
}

namespace {

union Lasting {
    Depot depot;

    constexpr Lasting() noexcept : depot() {}
    ~Lasting() {}
};

constinit Lasting lasting;

void before_fork() noexcept { lasting.depot.mutex.lock(); }
void after_fork() noexcept { lasting.depot.mutex.unlock(); }

/// Nobody forks while the depot is locked: the child would find it locked for ever, and half
/// changed. Registered before `main`, when there is one thread.
[[maybe_unused]] const int registered = ::pthread_atfork(&before_fork, &after_fork, &after_fork);

}  // namespace

Depot& depot() noexcept { return lasting.depot; }

}  // namespace asyncio::internal
