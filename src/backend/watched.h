#pragma once
// The descriptors of the library's own sockets, whose readiness a back-end remembers.
//
// A server with many connections does the same with each of them, again and again: a read finds
// nothing, the task waits, bytes come, the read is made. Asking the kernel each time costs two
// system calls that tell nothing new: the read that finds nothing, and the request to be told when
// there is something. Both can be saved if the back-end knows the state of the descriptor. It may
// only remember the state if it learns of every close, because the number then means another file.
//
// The library's sockets say so with their operations (`Blocking::owned`): such a descriptor is
// closed by an operation of this back-end and in no other way. Descriptors that come from elsewhere
// are not remembered; the back-ends describe how they are watched.
//
// How a descriptor is watched. The kernel reports each change once (by edge in epoll, by a
// multishot poll in io_uring), for both directions, from the first operation that has to wait until
// the close. Two flags hold what is known: whether a read, and a write, may succeed.
//  - An event sets them.
//  - A call that would block clears its flag. The next operation waits without a call.
//  - A read that has brought less than was asked for has emptied the socket, and clears the flag,
//    too. This is true for TCP alone, whose owner says so (`Blocking::owned_tcp`): a message is not
//    all that there is, and a Unix socket cuts a read at a descriptor that comes along. It is not
//    true either after news that the kernel tells once: the end of the peer's direction, an error,
//    urgent data, at which TCP cuts a read.
//  - An operation that may not wait (MSG_DONTWAIT) is always tried. Its result is noted.
// A change that happens between a call and the clearing of its flag is not lost: the kernel has
// queued the event by then, and it will set the flag again.
//
// Events carry a generation, as the slots of epoll do, because an event of an old file may be on
// its way when its number is closed and given to a new one.
//
// What an owner must not do: close the descriptor by a system call, or give it to code that does.
// The registration would go with the file, and an operation on the next file of that number would
// wait for ever. New descriptors of the library therefore begin with a clean slot, whatever was
// remembered.
//
// This class knows lists and flags, and makes the calls. The back-end that has it asks the kernel
// to watch, reports what is finished, and counts.
//
// Thread-safety: as the back-end.

#include <asyncio/lowlevel/operation.h>

#include "backend/attempt.h"
#include "backend/operation_kind.h"
#include "backend/slots.h"
#include "backend/waiting_lines.h"

#include <cstdint>
#include <limits>

namespace asyncio::lowlevel {

/// What is known of a descriptor, and the operations that wait on it: one line of the processor's
/// cache. With many connections most of the time of an event is spent on memory that is not there.
struct alignas(64) WatchedSlot : WaitingLines {
    int fd = -1;
    /// Counts the files that this number has meant.
    std::uint32_t generation = 0;
    /// The next descriptor in the back-end's line of those that have still to be watched.
    int next_unwatched = -1;
    /// This one is in that line. It stays there when it is closed, and is passed over.
    bool is_in_line : 1 = false;
    /// The kernel has still to be asked to report its changes.
    bool to_be_watched : 1 = false;
    /// The kernel reports its changes.
    bool watched : 1 = false;
    /// A call in this direction may succeed.
    bool readable : 1 = true;
    bool writable : 1 = true;
    /// The peer has ended its direction, or the connection is broken, or there is urgent data. No
    /// event will say it again.
    bool told_once : 1 = false;
    /// A connection of TCP (`Blocking::owned_tcp`).
    bool is_tcp : 1 = false;
};
static_assert(sizeof(WatchedSlot) == 64);

class Watched {
public:
    /// The part of a generation that travels in an event.
    static constexpr std::uint32_t generation_mask = 0x7fffffffu;

    explicit Watched(Scratch& scratch) : scratch_(scratch) {}

    /// Whether the operation belongs here: its result depends on the readiness of its descriptor,
    /// which is owned.
    bool takes(const Operation& operation) const noexcept {
        return interest_of(operation.kind) != Interest::none &&
               (is_owned(operation.blocking) || is_watched(operation.fd));
    }

    /// What `submit` returns for an operation that waits. It is no result: a call that may not wait
    /// has the result −EAGAIN.
    static constexpr int waits = std::numeric_limits<int>::min();

    /// Carries the operation out, or puts it into a list of its descriptor. Returns its result
    /// (−ENOMEM without memory for the slot), or `waits`.
    int submit(Operation& operation) noexcept;

    /// The descriptor of an operation that waits.
    WatchedSlot& slot_of(const Operation& operation) noexcept { return slots_[operation.fd]; }

    /// The kernel has reported `events` of poll(2) for `fd`. Appends the operations that this has
    /// finished to `finished`, with their results.
    void ready(int fd, std::uint32_t generation, std::uint32_t events,
               OperationList& finished) noexcept;

    /// The kernel cannot watch the descriptor: its operations end with `error` (−errno).
    void fail(WatchedSlot& slot, int error, OperationList& finished) noexcept;

    /// The descriptor is about to be closed or given away. Appends its operations to `ended`, as
    /// −ECANCELED, and forgets what is known. Returns whether it was watched, with `generation`.
    bool forget(int fd, std::uint32_t& generation, OperationList& ended) noexcept;

    /// `fd` is a new descriptor. If its number was closed behind the back-end's back, what is known
    /// is about another file.
    void note_new(int fd) noexcept;

    /// The kernel has stopped watching it. What is known may be out of date.
    static void unwatched(WatchedSlot& slot) noexcept;

    template <class Visit>
    void for_each(Visit&& visit) {
        slots_.for_each(visit);
    }
    WatchedSlot* find(int fd) noexcept { return slots_.find(fd); }

private:
    bool is_watched(int fd) const noexcept {
        const WatchedSlot* slot = slots_.find(fd);
        return slot != nullptr && slot->watched;
    }
    static bool is_known_to_block(const WatchedSlot& slot, const Operation& operation) noexcept;
    int attempt_on(WatchedSlot& slot, Operation& operation) noexcept;
    void serve(WatchedSlot& slot, OperationList& line, OperationList& finished) noexcept;

    Scratch& scratch_;
    Slots<WatchedSlot> slots_;
};

}  // namespace asyncio::lowlevel
