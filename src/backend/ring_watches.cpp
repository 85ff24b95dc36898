// The life of the polls of owned descriptors. Compiled to nothing without io_uring.
//
// The numbers in a completion are the descriptor and its generation, and not an address: a
// completion may come after the descriptor was closed, and then there is no object that it could
// name.
//
// The order of the requests does not matter. A poll that is ended and a new poll on the same number
// have different generations, so neither request can hit the other.

#ifdef ASYNCIO_WITH_IO_URING

#include "backend/ring_watches.h"

#include <cerrno>
#include <new>

#include <poll.h>

namespace asyncio::lowlevel {

int RingWatches::submit(Operation& operation) noexcept {
    const int result = watched_.submit(operation);
    if (result != Watched::waits) return result;
    WatchedSlot& slot = watched_.slot_of(operation);
    if (slot.watched || slot.to_be_watched) return Watched::waits;
    if (!has_room_to_unwatch()) {
        operation.unlink();
        return -ENOMEM;
    }
    stand_in_line(slot);
    return Watched::waits;
}

/// A descriptor that was closed while it stood in line still has its place.
void RingWatches::stand_in_line(WatchedSlot& slot) noexcept {
    ++count_;
    slot.to_be_watched = true;
    if (slot.is_in_line) return;
    slot.is_in_line = true;
    slot.next_unwatched = none;
    if (first_unwatched_ == none) {
        first_unwatched_ = slot.fd;
    } else {
        watched_.find(last_unwatched_)->next_unwatched = slot.fd;
    }
    last_unwatched_ = slot.fd;
}

/// Room for the end of every poll, the next one included.
bool RingWatches::has_room_to_unwatch() noexcept {
    try {
        const std::size_t needed = to_unwatch_.size() + count_ + 1;
        if (to_unwatch_.capacity() < needed) to_unwatch_.reserve(2 * needed);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

bool RingWatches::forget(int fd, OperationList& ended) noexcept {
    const WatchedSlot* slot = watched_.find(fd);
    if (slot == nullptr) return false;
    if (slot->watched || slot->to_be_watched) --count_;
    const bool is_connection = slot->is_tcp;
    std::uint32_t generation = 0;
    if (!watched_.forget(fd, generation, ended)) return false;
    to_unwatch_.push_back(user_data_of(fd, generation));
    return !is_connection;
}

void RingWatches::fill_in(Ring& ring, std::uint64_t nobody) noexcept {
    for (const std::uint64_t user_data : to_unwatch_) {
        io_uring_sqe& entry = ring.next_entry();
        ::io_uring_prep_cancel64(&entry, user_data, 0);
        ::io_uring_sqe_set_data64(&entry, nobody);
    }
    to_unwatch_.clear();
    while (first_unwatched_ != none) {
        WatchedSlot& slot = *watched_.find(first_unwatched_);
        first_unwatched_ = slot.next_unwatched;
        slot.is_in_line = false;
        if (!slot.to_be_watched) continue;
        slot.to_be_watched = false;
        io_uring_sqe& entry = ring.next_entry();
        ::io_uring_prep_poll_multishot(&entry, slot.fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI);
        ::io_uring_sqe_set_data64(&entry, user_data_of(slot.fd, slot.generation));
        slot.watched = true;
    }
}

/// The poll is gone. What was known may be out of date, so the flags are set.
void RingWatches::watch_anew(WatchedSlot& slot) noexcept {
    Watched::unwatched(slot);
    --count_;
    if (!slot.idle()) stand_in_line(slot);
}

/// The end of the old ring ends its polls, and its completions are not collected any more.
void RingWatches::leave_ring() noexcept {
    to_unwatch_.clear();
    watched_.for_each([this](WatchedSlot& slot) {
        if (slot.watched) watch_anew(slot);
    });
}

/// The kernel ends a poll when its completion queue is full, for example; the poll is then made
/// again. The completion of a descriptor that was closed has an old generation.
void RingWatches::handle(const Completion& completion, OperationList& ended) noexcept {
    const auto fd = static_cast<int>(static_cast<std::uint32_t>(completion.user_data));
    WatchedSlot* slot = watched_.find(fd);
    if (slot == nullptr || !slot->watched) return;
    if (completion.user_data != user_data_of(fd, slot->generation)) return;
    if (completion.result < 0) {
        watched_.fail(*slot, completion.result, ended);
    } else {
        const std::uint32_t generation = slot->generation & Watched::generation_mask;
        watched_.ready(fd, generation, static_cast<std::uint32_t>(completion.result), ended);
    }
    if ((completion.flags & IORING_CQE_F_MORE) == 0) watch_anew(*slot);
}

}  // namespace asyncio::lowlevel

#endif  // ASYNCIO_WITH_IO_URING
