#pragma once
// The owned descriptors of the io_uring back-end: one poll in the ring for each of them.
//
// watched.h says what is remembered of an owned descriptor. Here its changes come from the ring: a
// multishot poll for both directions, which is made when an operation has to wait for the first
// time, and ended when the descriptor is closed. So a connection costs two entries of the ring, for
// all the operations of its life.
//
//     an operation waits ──► in line ─────► the poll is in the ring ──► closed ──► to_unwatch_
//                                ▲                   │
//                                └───────────────────┘
//                      the kernel has ended the poll, or the ring was left
//
// The kernel keeps the file open for the poll. So the back-end ends the poll before the close, by a
// system call of its own: otherwise the address of a listener would still be in use when the close
// has returned. For connections this would be one more call in a short life. Their polls are ended
// by the next `wait`, and the peer sees the close then, at the end of the same iteration.
//
// Thread-safety: as the back-end.

#include <asyncio/lowlevel/operation.h>

#include "backend/ring.h"
#include "backend/watched.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace asyncio::lowlevel {

class RingWatches {
public:
    explicit RingWatches(Scratch& scratch) : watched_(scratch) {}

    bool takes(const Operation& operation) const noexcept { return watched_.takes(operation); }
    /// Returns the result, or `Watched::waits` if the operation waits in a list of its descriptor.
    int submit(Operation& operation) noexcept;
    void note_new(int fd) noexcept { watched_.note_new(fd); }
    /// The descriptor is about to be closed or given away. Appends its operations to `ended`.
    /// Returns whether the poll must end before that: `fill_in`, and a look at the ring.
    bool forget(int fd, OperationList& ended) noexcept;

    /// Whether `fill_in` has something to do.
    bool has_requests() const noexcept { return first_unwatched_ != none || !to_unwatch_.empty(); }
    /// Ends the polls of closed descriptors, and makes those of new ones. The completions of the
    /// requests that end a poll have the user data `nobody`.
    void fill_in(Ring& ring, std::uint64_t nobody) noexcept;
    /// Another ring takes over. Every descriptor on which an operation waits gets a poll there.
    void leave_ring() noexcept;

    /// Whether a completion with this user data belongs here. No address has this bit.
    static bool owns(std::uint64_t user_data) noexcept { return (user_data & tag) != 0; }
    /// Appends the operations that the completion has finished to `ended`, with their results.
    void handle(const Completion& completion, OperationList& ended) noexcept;

private:
    static constexpr std::uint64_t tag = std::uint64_t{1} << 63;
    static std::uint64_t user_data_of(int fd, std::uint32_t generation) noexcept {
        return tag | std::uint64_t{generation & Watched::generation_mask} << 32 |
               static_cast<std::uint32_t>(fd);
    }
    static constexpr int none = -1;

    bool has_room_to_unwatch() noexcept;
    void stand_in_line(WatchedSlot& slot) noexcept;
    void watch_anew(WatchedSlot& slot) noexcept;

    Watched watched_;
    /// The line of descriptors for which the ring has still to get a poll: its ends. The slots know
    /// who comes next. A number takes a quarter of the memory of a node, and every connection has a
    /// slot.
    int first_unwatched_ = none;
    int last_unwatched_ = none;
    /// The polls that the ring has to end. The room is reserved when an operation waits, because a
    /// close cannot fail.
    std::vector<std::uint64_t> to_unwatch_;
    /// How many descriptors have a poll or are to get one.
    std::size_t count_ = 0;
};

}  // namespace asyncio::lowlevel
