#pragma once
// The deadlines of a loop, earliest first; equal deadlines in the order in which they came.
//
// Two facts about timers shape this structure. Most timers are time limits that are cancelled
// before they expire, so arming and cancelling must be cheap. And when timers do expire, a million
// may be pending, so the cost of the next one is decided by the caches.
//
//   - Far timers are not sorted. A timer whose time is far away is put on a pile. When everything
//     nearer is gone, the nearest pile is split into an earlier and a later part, again and again
//     until a few dozen entries are left. Only these are sorted. This is quicksort that stops as
//     soon as the next element is known; Navarro and Paredes ("On sorting, heaps, and minimum
//     spanning trees", 2010) call it a quickheap. A timer that is cancelled early never takes part.
//     Splitting runs through memory in order, where a binary heap of a million waits for the memory
//     at every level of every step.
//   - An entry does not point to its timer, and the timer does not know where its entry is. Both
//     would have to be written at every move of an entry, and the timer is likely not in the cache.
//     Between them stands a table of slots, written once when the timer is armed and once when it
//     expires or is cancelled.
//   - Cancelling empties the slot and leaves the entry where it is, to be dropped when its time
//     comes. An entry that was armed last, or is the next to expire, is dropped at once. When more
//     than half of the entries are dead they are removed together, so memory stays proportional to
//     the live timers, at constant amortised cost.
//   - Timers that never expire are kept apart, in no order. The sequence numbers order entries that
//     are less than 2^31 pushes apart. This holds for two equal deadlines, unless both are `never`.
//
// Invariants. `near_` is sorted, latest first, so that the next to expire is the last. Everything
// in it is earlier than everything on the piles, and everything on a pile is earlier than
// everything on the piles before it. `dead_` entries have an empty slot; every other slot in use
// points to the armed timer whose `slot` it is; a slot is free exactly when no entry names it. The
// `slot` of a timer without end has the bit `endless_bit`, and its other bits are its index in
// `endless_`.
//
//     piles_[0]  │ piles_[1]  │ … │ piles_.back() │ near_ (sorted)
//     latest ────────────────────────────────────────────► next to expire
//
// The cost. Arming: O(number of piles), which is logarithmic. Cancelling: O(1). Expiring: amortised
// O(log n), like any comparison sort, but memory is read in order.
//
// Memory is allocated in `push` alone, and where an expiring timer makes a split useful. A split
// that has no memory is replaced by a larger sort. So nothing that the loop calls between two steps
// can fail.
//
// Thread-safety: none. A heap belongs to one loop.

#include <asyncio/internal/base/time.h>

#include "base/large_memory.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <vector>

namespace asyncio::internal {

/// `Item` has a member `std::uint32_t slot`, which belongs to the heap while the item is in it. The
/// heap does not own its items: the owner removes an item before it destroys it.
template <class Item>
class BasicTimerHeap {
public:
    /// The number of items in the heap, without the cancelled ones.
    std::size_t size() const noexcept { return entries_ - dead_ + endless_.size(); }
    bool empty() const noexcept { return entries_ == dead_ && endless_.empty(); }

    /// Allocates when more timers are pending than ever before. Throws: `std::bad_alloc`; the item
    /// is then not in the heap.
    void push(Item& item, TimePoint when) {
        if (when == never) [[unlikely]]
            return push_endless(item);
        const Entry entry{when, sequence_++, take_slot(item)};
        try {
            insert(entry);
        } catch (...) {
            free_slot(entry.slot);
            throw;
        }
        ++entries_;
        item.slot = entry.slot;
    }

    /// Cancels `item`, which must be in the heap. Its `slot` becomes `none`, by which the owner can
    /// tell that it is not armed.
    void remove(Item& item, std::uint32_t none) noexcept {
        if ((item.slot & endless_bit) != 0) [[unlikely]]
            return remove_endless(item, none);
        assert(slots_[item.slot].item == &item);
        const std::uint32_t slot = item.slot;
        item.slot = none;
        // The two frequent cases cost no dead entry: the timer that expires next, and a limit that
        // was armed last and ends before any other.
        if (drop_last(near_, slot)) return;
        if (!piles_.empty() && drop_last(piles_.front().entries, slot)) return;
        slots_[slot].item = nullptr;
        ++dead_;
        if (dead_ > sweep_threshold && dead_ > entries_ / 2) sweep();
    }

    /// The earliest deadline; `never` if none ever comes. Drops dead entries on the way.
    TimePoint earliest() noexcept {
        while (!near_.empty() || refill()) {
            if (slots_[near_.back().slot].item != nullptr) return near_.back().when;
            free_slot(take_nearest());
            --dead_;
        }
        return never;
    }

    /// Takes the earliest item out. The heap must not be empty, and `earliest` must have been
    /// called since the last change.
    Item& pop(std::uint32_t none) noexcept {
        if (near_.empty()) return pop_endless(none);
        const std::uint32_t slot = take_nearest();
        Item& item = *slots_[slot].item;
        free_slot(slot);
        item.slot = none;
        return item;
    }

    /// Takes out what is due at `now`, earliest first, as far as `due` has room; returns how many.
    ///
    /// Takes many at once, because an item is probably not in the cache. It is fetched here in
    /// advance, and has arrived when the caller uses it.
    std::size_t take_due(TimePoint now, std::uint32_t none, std::span<Item*> due) noexcept {
        std::size_t count = 0;
        while (count < due.size() && earliest() <= now && !empty()) {
            if (near_.empty()) [[unlikely]] {
                due[count++] = &pop_endless(none);
                continue;
            }
            const std::uint32_t slot = take_nearest();
            due[count] = slots_[slot].item;
            __builtin_prefetch(due[count], 1);
            free_slot(slot);
            ++count;
        }
        // After the loop, so that the fetches of all items run at the same time.
        for (Item* item : due.first(count)) item->slot = none;
        return count;
    }

private:
    struct Entry {
        TimePoint when;
        /// Wraps around. Compared as a difference, so it orders any two entries that are less than
        /// 2^31 pushes apart.
        std::uint32_t sequence;
        std::uint32_t slot;

        /// Without a branch: in the middle of a split a branch would be predicted wrongly half of
        /// the time.
        bool operator<(const Entry& other) const noexcept {
            const bool came_first = static_cast<std::int32_t>(sequence - other.sequence) < 0;
            const int earlier = when < other.when;
            const int same_but_first = (when == other.when) & came_first;
            return (earlier | same_but_first) != 0;
        }
    };
    static_assert(sizeof(Entry) == 16);

    using Entries = std::vector<Entry, LargeAllocator<Entry>>;

    struct Pile {
        Entries entries;
        /// All entries of this pile are as late as this one or later, and everything on the next
        /// pile is earlier. Has no meaning on the last pile.
        Entry from;
    };

    union Slot {
        Item* item;                // in use: the timer, or null if it was cancelled
        std::uintptr_t next_free;  // free: one more than the next free slot's index, 0 for none
    };

    /// At most this many entries are sorted at once, and an insertion moves no more than that. They
    /// fill 1 KiB, which stays in the first cache.
    static constexpr std::size_t near_limit = 64;
    /// With fewer dead entries a sweep is not worth its start.
    static constexpr std::size_t sweep_threshold = 64;
    static constexpr std::uint32_t endless_bit = std::uint32_t{1} << 31;

    /// A timer without end needs no order and no slot in the table: its index is enough.
    void push_endless(Item& item) {
        endless_.push_back(&item);
        item.slot = endless_bit | static_cast<std::uint32_t>(endless_.size() - 1);
    }

    /// The last element moves into the gap.
    void remove_endless(Item& item, std::uint32_t none) noexcept {
        const std::uint32_t place = item.slot & ~endless_bit;
        assert(endless_[place] == &item);
        endless_[place] = endless_.back();
        endless_[place]->slot = item.slot;
        endless_.pop_back();
        item.slot = none;
    }

    Item& pop_endless(std::uint32_t none) noexcept {
        Item& last = *endless_.back();
        remove_endless(last, none);
        return last;
    }

    /// Throws: `std::bad_alloc`. The free slots form a list through the table itself, so the slot
    /// that was freed last, and is in the cache, is used first.
    std::uint32_t take_slot(Item& item) {
        if (free_slots_ != 0) {
            const auto slot = static_cast<std::uint32_t>(free_slots_ - 1);
            free_slots_ = slots_[slot].next_free;
            slots_[slot].item = &item;
            return slot;
        }
        slots_.push_back({&item});
        return static_cast<std::uint32_t>(slots_.size() - 1);
    }

    void free_slot(std::uint32_t slot) noexcept {
        slots_[slot].next_free = free_slots_;
        free_slots_ = std::uintptr_t{slot} + 1;
    }

    /// The slot stays in use: the caller looks at it and frees it.
    std::uint32_t take_nearest() noexcept {
        const std::uint32_t slot = near_.back().slot;
        near_.pop_back();
        --entries_;
        return slot;
    }

    /// Drops the last entry of `entries` if it is the one with this slot.
    bool drop_last(Entries& entries, std::uint32_t slot) noexcept {
        if (entries.empty() || entries.back().slot != slot) return false;
        entries.pop_back();
        --entries_;
        free_slot(slot);
        return true;
    }

    /// Throws: `std::bad_alloc`; the entry is then nowhere.
    [[gnu::always_inline]] void insert(const Entry& entry) {
        if (piles_.empty() || (!near_.empty() && entry < near_.front())) {
            insert_near(entry);
        } else {
            pile_for(entry).push_back(entry);
        }
    }

    /// The entry is passed by value, so that its members stay in registers. Otherwise they would be
    /// read back from memory as a whole, and the processor stalls when memory that was just written
    /// in two parts is read in one.
    void insert_near(Entry entry) {
        near_.emplace_back();
        std::size_t place = near_.size() - 1;
        for (; place > 0 && near_[place - 1] < entry; --place) near_[place] = near_[place - 1];
        near_[place] = entry;
        if (near_.size() > near_limit) shorten_near();
    }

    /// Moves the later half to a pile. Without memory for that, `near_` stays as long as it is: an
    /// insertion then moves more entries, and the order is still right.
    void shorten_near() noexcept {
        const auto half = near_.begin() + near_limit / 2;
        try {
            Entries& pile = pile_for(near_.front());
            pile.insert(pile.end(), near_.begin(), half);
        } catch (const std::bad_alloc&) {
            return;
        }
        near_.erase(near_.begin(), half);
    }

    /// The pile whose range the deadline belongs to. Their number grows with the logarithm of the
    /// timers, so they are searched one by one, the latest first: most new timers are far away.
    Entries& pile_for(const Entry& entry) {
        if (piles_.empty()) piles_.emplace_back();
        std::size_t i = 0;
        while (i + 1 < piles_.size() && entry < piles_[i].from) ++i;
        return piles_[i].entries;
    }

    /// Sorts the entries that come next into `near_`, which is empty. False if there are none. The
    /// slots are fetched in advance, since each of them is going to be looked at.
    bool refill() noexcept {
        while (near_.empty() && !piles_.empty()) {
            if (piles_.back().entries.size() > near_limit && split_nearest()) continue;
            near_.swap(piles_.back().entries);
            piles_.pop_back();
        }
        std::sort(near_.begin(), near_.end(), [](const Entry& a, const Entry& b) { return b < a; });
        for (const Entry& entry : near_) __builtin_prefetch(&slots_[entry.slot]);
        return !near_.empty();
    }

    /// Splits the nearest pile into two. False if there is no memory for that; sorting all of it is
    /// slower, and the order is still right.
    bool split_nearest() noexcept {
        const std::size_t nearest = piles_.size() - 1;
        try {
            piles_.emplace_back();
            Pile& pile = piles_[nearest];
            pile.from = pivot_of(pile.entries);
            piles_.back().entries = take_earlier(pile.entries, pile.from);
        } catch (const std::bad_alloc&) {
            piles_.resize(nearest + 1);
            return false;
        }
        return true;
    }

    /// Moves the entries that are earlier than `pivot` to a pile of their own. Both piles keep
    /// their order: timers often come in the order of their deadlines, and then there is little to
    /// sort later.
    static Entries take_earlier(Entries& entries, const Entry pivot) {
        Entries earlier(entries.size());
        std::size_t taken = 0;
        std::size_t kept = 0;
        // Each entry is written to both places, and the place to which it belongs counts it. This
        // needs no branch, which would be predicted wrongly half of the time.
        for (const Entry entry : entries) {
            const bool is_earlier = entry < pivot;
            earlier[taken] = entry;
            entries[kept] = entry;
            taken += is_earlier;
            kept += !is_earlier;
        }
        earlier.resize(taken);
        entries.resize(kept);
        return earlier;
    }

    /// The middle one of nine entries from all over the pile. No two entries are equal, so neither
    /// part is ever empty. Entries that came in order, rising, falling or both, are split about in
    /// half.
    static Entry pivot_of(const Entries& entries) noexcept {
        std::array<Entry, 9> sample;
        for (std::size_t i = 0; i < sample.size(); ++i) {
            sample[i] = entries[(2 * i + 1) * entries.size() / (2 * sample.size())];
        }
        std::nth_element(sample.begin(), sample.begin() + 4, sample.end());
        return sample[4];
    }

    /// Removes all dead entries. `erase_if` keeps the order of the others, so every invariant still
    /// holds.
    void sweep() noexcept {
        const auto drop_dead = [this](Entries& entries) {
            std::erase_if(entries, [this](const Entry& entry) {
                if (slots_[entry.slot].item != nullptr) return false;
                free_slot(entry.slot);
                return true;
            });
        };
        drop_dead(near_);
        for (Pile& pile : piles_) drop_dead(pile.entries);
        entries_ -= dead_;
        dead_ = 0;
    }

    Entries near_;
    std::vector<Pile> piles_;
    /// The items whose deadline is `never`.
    std::vector<Item*> endless_;
    std::vector<Slot, LargeAllocator<Slot>> slots_;
    /// The first free slot's index plus one; 0 for none.
    std::uintptr_t free_slots_ = 0;
    /// Entries in `near_` and on the piles, dead ones included.
    std::size_t entries_ = 0;
    /// Entries whose timer was cancelled.
    std::size_t dead_ = 0;
    std::uint32_t sequence_ = 0;
};

}  // namespace asyncio::internal
