#pragma once
// The deadlines of a loop, earliest first; equal ones in the order in which they came.
//
// Two facts about timers shape this structure. Most are time limits that are called off before they
// come, so calling off must be cheap. And when they do come, a million may be pending, so the cost
// of a pop is what the caches make of it.
//
//   - The heap holds plain 16-byte entries (deadline, sequence, slot), four children to a node: the
//     four lie side by side, in one cache line or two, and the tree is half as deep as a binary
//     one.
//   - An entry does not point to its timer, and the timer does not know where in the heap its entry
//     is; both would have to be written on every move of an entry, and the timer is likely not in
//     the cache. Between them stands a table of slots, written once when the timer is armed and
//     once when it fires or is called off.
//   - Calling off empties the slot and leaves the entry where it is, to be dropped when it comes
//     up. If it is the last entry of the array, which a limit far in the future usually is, it is
//     dropped right away. When more than half of the entries are dead they are swept out, so memory
//     stays proportional to the live timers, at constant amortised cost.
//
// Invariants: `dead_` entries have an empty slot; every other slot in use points to the armed timer
// whose `slot` it is; a slot is free exactly when no entry names it.
//
// Thread-safety: none. A heap belongs to one loop.

#include <asyncio/internal/time.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace asyncio::internal {

/// `Item` has a member `std::uint32_t slot`, which is the heap's while the item is in it.
template <class Item>
class BasicTimerHeap {
public:
    /// Items in the heap, the ones called off not counted.
    std::size_t size() const noexcept { return heap_.size() - dead_; }
    bool empty() const noexcept { return size() == 0; }

    /// Allocates when more timers are pending than ever before.
    void push(Item& item, TimePoint when) {
        const std::uint32_t slot = take_slot(item);
        heap_.push_back({when, sequence_++, slot});
        sift_up(heap_.size() - 1);
        item.slot = slot;
    }

    /// Calls `item` off. It must be in the heap.
    void remove(Item& item, std::uint32_t none) noexcept {
        assert(slots_[item.slot].item == &item);
        const std::uint32_t slot = item.slot;
        item.slot = none;
        if (heap_.back().slot == slot) {
            heap_.pop_back();
            free_slot(slot);
            return;
        }
        slots_[slot].item = nullptr;
        ++dead_;
        if (dead_ > sweep_threshold && dead_ > heap_.size() / 2) sweep();
    }

    /// The earliest deadline; `never` if there is none. Drops dead entries from the top on the way.
    TimePoint earliest() noexcept {
        while (!heap_.empty() && slots_[heap_.front().slot].item == nullptr) {
            --dead_;
            free_slot(pop_entry().slot);
        }
        return heap_.empty() ? never : heap_.front().when;
    }

    /// Takes the earliest item out. The heap must not be empty, and `earliest` must have been
    /// called since the last change.
    Item& pop(std::uint32_t none) noexcept {
        const std::uint32_t slot = pop_entry().slot;
        Item& item = *slots_[slot].item;
        free_slot(slot);
        item.slot = none;
        return item;
    }

private:
    struct Entry {
        TimePoint when;
        /// Wraps around; compared as a difference, so it orders any two that are less than 2^31
        /// pushes apart.
        std::uint32_t sequence;
        std::uint32_t slot;
    };
    static_assert(sizeof(Entry) == 16, "four siblings are the size of a cache line");

    union Slot {
        Item* item;                // in use: the timer, or null if it was called off
        std::uintptr_t next_free;  // free: one more than the next free slot's index, 0 for none
    };

    static constexpr std::size_t arity = 4;
    static constexpr std::size_t sweep_threshold = 64;

    static bool earlier(const Entry& a, const Entry& b) noexcept {
        if (a.when != b.when) return a.when < b.when;
        return static_cast<std::int32_t>(a.sequence - b.sequence) < 0;
    }

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

    void sift_up(std::size_t hole) noexcept {
        const Entry entry = heap_[hole];
        while (hole > 0) {
            const std::size_t parent = (hole - 1) / arity;
            if (!earlier(entry, heap_[parent])) break;
            heap_[hole] = heap_[parent];
            hole = parent;
        }
        heap_[hole] = entry;
    }

    void sift_down(std::size_t hole) noexcept {
        const Entry entry = heap_[hole];
        const std::size_t count = heap_.size();
        for (;;) {
            const std::size_t first = hole * arity + 1;
            if (first >= count) break;
            const std::size_t end = first + arity < count ? first + arity : count;
            std::size_t least = first;
            for (std::size_t child = first + 1; child < end; ++child) {
                if (earlier(heap_[child], heap_[least])) least = child;
            }
            if (!earlier(heap_[least], entry)) break;
            heap_[hole] = heap_[least];
            hole = least;
        }
        heap_[hole] = entry;
    }

    Entry pop_entry() noexcept {
        const Entry top = heap_.front();
        heap_.front() = heap_.back();
        heap_.pop_back();
        if (!heap_.empty()) sift_down(0);
        return top;
    }

    void sweep() noexcept {
        std::size_t kept = 0;
        for (const Entry& entry : heap_) {
            if (slots_[entry.slot].item != nullptr) {
                heap_[kept++] = entry;
            } else {
                free_slot(entry.slot);
            }
        }
        heap_.resize(kept);
        dead_ = 0;
        // Floyd's construction: from the last parent up, each subtree once. Linear.
        for (std::size_t i = kept / arity + 1; i-- > 0;) {
            if (i < kept) sift_down(i);
        }
    }

    std::vector<Entry> heap_;
    std::vector<Slot> slots_;
    std::uintptr_t free_slots_ = 0;
    std::size_t dead_ = 0;
    std::uint32_t sequence_ = 0;
};

}  // namespace asyncio::internal
