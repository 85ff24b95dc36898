#pragma once
// A table by descriptor number: what a back-end knows about the operations on one descriptor.
//
// The kernel gives out the lowest free number, so the table stays about as long as the most
// descriptors that were ever open at once. It never shrinks, and its slots never move, because the
// lists in a slot are rings through the slot itself.
//
// Blocks of slots and no map: a lookup is two loads, and happens for every operation. A deque does
// the same with blocks of 512 bytes, and computes its size from four pointers each time.
//
// Thread-safety: loop thread only.

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace asyncio::lowlevel {

template <class Slot>
class Slots {
public:
    /// Null for a number without a slot, which is a number on which nothing was ever in flight.
    Slot* find(int fd) noexcept { return exists(fd) ? &(*this)[fd] : nullptr; }
    const Slot* find(int fd) const noexcept { return const_cast<Slots*>(this)->find(fd); }

    /// The slot must exist.
    Slot& operator[](int fd) noexcept {
        const auto number = static_cast<std::size_t>(fd);
        return blocks_[number / slots_per_block][number % slots_per_block];
    }

    /// False without memory. A negative number, as some operations of files have it, gets no slot.
    bool make_up_to(int fd) noexcept {
        if (fd < 0 || exists(fd)) [[likely]]
            return true;
        try {
            while (!exists(fd)) {
                blocks_.push_back(std::make_unique<Slot[]>(slots_per_block));
                count_ += slots_per_block;
            }
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }

    template <class Visit>
    void for_each(Visit&& visit) {
        for (std::size_t number = 0; number < count_; ++number)
            visit((*this)[static_cast<int>(number)]);
    }

private:
    static constexpr std::size_t slots_per_block = 64;

    /// A negative number is a very large one here.
    bool exists(int fd) const noexcept { return static_cast<std::size_t>(fd) < count_; }

    std::vector<std::unique_ptr<Slot[]>> blocks_;
    std::size_t count_ = 0;
};

}  // namespace asyncio::lowlevel
