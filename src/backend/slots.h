#pragma once
// A table by descriptor number: what a back-end knows about the operations on one descriptor.
//
// The kernel gives out the lowest free number, so the table stays about as long as the most
// descriptors that were ever open at once. It never shrinks, and its slots never move, because the
// lists in a slot are rings through the slot itself.
//
// A deque and no map: a lookup is one division, and happens for every operation that waits.
//
// Thread-safety: loop thread only.

#include <cstddef>
#include <deque>
#include <new>

namespace asyncio::lowlevel {

template <class Slot>
class Slots {
public:
    /// Null for a number without a slot, which is a number on which nothing was ever in flight.
    Slot* find(int fd) noexcept {
        const bool exists = fd >= 0 && static_cast<std::size_t>(fd) < slots_.size();
        return exists ? &slots_[static_cast<std::size_t>(fd)] : nullptr;
    }

    const Slot* find(int fd) const noexcept { return const_cast<Slots*>(this)->find(fd); }

    /// The slot must exist.
    Slot& operator[](int fd) noexcept { return slots_[static_cast<std::size_t>(fd)]; }

    /// False without memory. A negative number, as some operations of files have it, gets no slot.
    bool make_up_to(int fd) noexcept {
        try {
            while (fd >= 0 && slots_.size() <= static_cast<std::size_t>(fd)) slots_.emplace_back();
            return true;
        } catch (const std::bad_alloc&) {
            return false;
        }
    }

    template <class Visit>
    void for_each(Visit&& visit) {
        for (Slot& slot : slots_) visit(slot);
    }

private:
    std::deque<Slot> slots_;
};

}  // namespace asyncio::lowlevel
