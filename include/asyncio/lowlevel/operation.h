#pragma once
// One request to the kernel, as data.
//
// An operation lives in the frame of the coroutine that waits for it: nothing is allocated to read
// or write. What it asks is a tag and a few numbers rather than a virtual method, so a new kind of
// request costs each back-end one case in one switch, and a back-end stays small enough to be read
// in one sitting.
//
// Lifetime: from `Backend::submit` until the operation is reported, the operation *and the memory
// it points to* belong to the back-end. Cancelling does not end that; only the report does.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/intrusive_list.h>

#include <cstddef>
#include <cstdint>

namespace asyncio::lowlevel {

/// What is asked. Files, sockets and names join this list when there is a caller for them.
enum class OperationKind : std::uint8_t {
    read,   ///< Up to `size` bytes into `buffer`; 0 is the end of the stream.
    write,  ///< Up to `size` bytes from `buffer`; may write fewer, never 0 unless asked to.
    /// Until one of `events` (POLLIN, POLLOUT, …) holds; the result is the mask that does. Also a
    /// pidfd's wait.
    poll,
    /// Makes a pipe: `buffer` is `int[2]`, read end first. Both ends non-blocking and
    /// close-on-exec.
    pipe,
    close,  ///< Closes `fd`. Afterwards the number is free, whatever the result says.
};

struct Operation : internal::ListNode {
    /// Whose the operation is now. Written by the back-end alone.
    enum class State : std::uint8_t {
        idle,       ///< The caller's: may be filled in, submitted, destroyed.
        in_flight,  ///< The back-end's. It will be reported exactly once.
        finished,   ///< The caller's again; `result` holds.
    };

    OperationKind kind = OperationKind::read;
    State state = State::idle;
    std::int16_t events = 0;  ///< `poll` only.
    int fd = -1;
    void* buffer = nullptr;
    std::size_t size = 0;

    /// ≥ 0, or −errno. Valid in state `finished`; the back-end's own while it is in flight.
    int result = 0;

    /// Called by the loop, once, after the operation was reported by `Backend::wait`. Must not
    /// block; it usually puts a waiter into the ready queue. Not called when `submit` answered
    /// "finished already".
    void (*on_finished)(Operation&) noexcept = nullptr;
};

using OperationList = internal::IntrusiveList<Operation>;

}  // namespace asyncio::lowlevel
