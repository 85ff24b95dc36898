// The shared stock of free frames: lists that are put and taken, scattered blocks that are sorted,
// chunks that become empty, and the memory of the system.
//
// How blocks come and go. A thread puts a full list when it has one too many, and takes a list when
// it has none. Most lists are kept as they came and handed out again, last in, first out, while
// their blocks are still in a cache. `Stock::put` looks at the first blocks of a list. If they jump
// through the memory, the list is written down: its blocks go to a vector, which is sorted by
// address when enough of them are new. A list made from it leads through the memory in order.
//
// How a chunk becomes empty. No thread counts the living blocks of a chunk, because that would cost
// two writes to a shared cache line for each frame. Instead `sweep` counts the free ones, when
// memory is short. All blocks of the depot are written down. Each adds one to its chunk's count,
// and a chunk whose count reaches the number of its blocks is empty. Its blocks leave the vector,
// and the chunk may serve any size. A single free block in the list of a thread keeps its chunk
// from being empty: the sweep cannot see it, and does not need to.
//
// Locks. A single mutex guards everything. The callers first ask atomics without it (`empty`,
// `has_rest`, `empty_chunks_`), because most of the time there is nothing to take. Such an answer
// may be out of date by the time it is used. No result depends on it: a thread that misses a list
// cuts new blocks, and a thread that finds the list gone does the same.
//
// Without memory for the vector, a list stays a list: the next user of its blocks is slower, and
// nothing is lost.
//
// The depot is never destroyed, because frames are freed by the destructors of statics and of
// threads that outlive `main`. It still holds a pointer to every slab, so a leak checker finds them
// reachable.

#include "base/frame_stock.h"

#include "base/after_fork.h"
#include "base/large_memory.h"

#include <bit>
#include <functional>
#include <new>
#include <utility>

namespace asyncio::internal {
namespace {

/// Whether a list jumps through the memory. Its first blocks stand for the rest: looking at all of
/// them would cost the cache misses that this is meant to avoid.
bool is_scattered(const FreeBlock* list) noexcept {
    constexpr int sample = 16;
    // At this distance the processor has the next block in its cache already, or fetches it in
    // advance.
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

/// Keeps the list, or writes its blocks down if they are scattered and there is memory.
void Stock::put(FreeBlock* list) noexcept {
    if (list == nullptr) return;
    count_.store(count() + list->length, std::memory_order_relaxed);
    if (is_scattered(list) && write_down(list)) return;
    list->next_list = std::exchange(lists_, list);
}

/// Moves the blocks of a list into the vector. False if there is no memory; the list is then
/// untouched. The room doubles, so that many puts cost little in all.
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

/// A list as it came, if there is one; otherwise a new list of the usual length, from the blocks
/// that are written down.
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

/// Makes a list of the last blocks of the vector. Sorting puts the highest addresses first. The end
/// of the vector then holds the lowest ones, and linking them from front to back leaves the lowest
/// one first. So the list leads upwards, which is the direction in which processors fetch in
/// advance.
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

/// Writes down every list. False if memory ended before all were.
bool Stock::write_all_down() noexcept {
    while (lists_ != nullptr) {
        FreeBlock* following = lists_->next_list;
        if (!write_down(lists_)) return false;
        lists_ = following;
    }
    return true;
}

Chunk* Stock::sweep(std::size_t granules, Chunk* empty_chunks) noexcept {
    // Blocks that could not be written down stay in their list, and keep their chunks from being
    // counted as empty.
    static_cast<void>(write_all_down());
    const std::size_t all = blocks_of_chunk(granules);
    for (FreeBlock* block : blocks_) ++Chunk::of(block).free_blocks;
    // An impossible count marks a chunk that was put into the list already. So a single pass is
    // enough.
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
    // Chunks that are not empty go back to 0, which every count starts from.
    for (FreeBlock* block : blocks_) Chunk::of(block).free_blocks = 0;
    count_.store(blocks_.size(), std::memory_order_relaxed);
    for (FreeBlock* list = lists_; list != nullptr; list = list->next_list) {
        count_.store(count() + list->length, std::memory_order_relaxed);
    }
    give_back_room();
    return empty_chunks;
}

/// Shrinks the vector when most of it is unused: its room may be a tenth of the blocks themselves.
void Stock::give_back_room() noexcept {
    unsorted_ = std::min(unsorted_, blocks_.size());
    if (blocks_.capacity() < 4 * blocks_.size() + worth_sorting) return;
    try {
        blocks_.shrink_to_fit();
    } catch (const std::bad_alloc&) {
        // The vector stays as large as it is.
    }
}

/// The note about the rest is written into the rest itself, which has room for a block, so this
/// needs no memory.
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

/// Asks without the mutex first: most often another thread's lists are not there.
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

/// A rest of this size comes before an empty chunk, which any size could use.
Uncut Depot::take_chunk(std::size_t granules) noexcept {
    Stock& stock = stocks_[granules];
    const bool has_empty_chunk = empty_chunks_.load(std::memory_order_relaxed) != nullptr;
    if (!has_empty_chunk && !stock.has_rest()) return {};
    const std::lock_guard lock(mutex);
    if (stock.has_rest()) return stock.take_rest();
    if (Chunk* chunk = pop_empty_chunk()) return {chunk->begin(), chunk->end()};
    return {};
}

/// A rest that is too small for a block is forgotten. The chunk's other blocks still count for its
/// being empty: `blocks_of_chunk` is rounded down in the same way.
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

/// The room in `slabs_` is made before the slab, so that a slab is never without an entry. The
/// mutex is held, so a second thread waits while the system provides the memory. This happens only
/// once for each doubling.
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
        // The rest stays unused.
    }
}

/// Without the mutex; each count may be a moment old. The answer decides only whether a sweep is
/// tried.
std::size_t Depot::free_bytes() const noexcept {
    std::size_t sum = 0;
    for (std::size_t granules = 0; granules < FreeLists::classes; ++granules) {
        sum += stocks_[granules].count() * block_bytes(granules);
    }
    return sum;
}

/// A sweep looks at every free block, so it must be likely to find something. Three conditions:
/// there is a megabyte of free blocks; they are an eighth of all memory; and they are a quarter
/// more than the last sweep left over, because that sweep found no empty chunk among those.
bool Depot::is_sweep_worth_it() const noexcept {
    constexpr std::size_t least_bytes = 1024 * 1024;
    const std::size_t free = free_bytes();
    const std::size_t left = left_by_sweep_bytes_.load(std::memory_order_relaxed);
    return free >= least_bytes && free >= slab_bytes_.load(std::memory_order_relaxed) / 8 &&
           free >= left + left / 4;
}

/// With the mutex held throughout: a block that is taken between counting and removing would be
/// used twice.
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

/// A union has no destructor of its own, so the depot in it is never destroyed. `constinit` makes
/// it ready before any constructor runs.
union Lasting {
    Depot depot;

    constexpr Lasting() noexcept : depot() {}
    ~Lasting() {}
};

constinit Lasting lasting;

/// The process does not fork while the depot is locked: the child would find it locked for ever,
/// and half changed. Registered before `main`, when there is one thread.
[[maybe_unused]] const bool safe_after_fork =
    (lock_across_forks([] { lasting.depot.mutex.lock(); }, [] { lasting.depot.mutex.unlock(); }),
     true);

}  // namespace

Depot& depot() noexcept { return lasting.depot; }

}  // namespace asyncio::internal
