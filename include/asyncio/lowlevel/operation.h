#pragma once
// One request to the kernel, as data.
//
// An operation lives in the frame of the coroutine that waits for it: nothing is allocated to read
// or write. What it asks is a tag and a few numbers rather than a virtual method, so a new kind of
// request costs each back-end one case in one switch, and a back-end stays small enough to be read
// in one sitting.
//
// A read need not bring memory. A program with a hundred thousand idle connections would hold a
// hundred thousand buffers, each waiting for bytes that do not come. So a read may name a function
// instead (`receive`): the back-end has one buffer, into which it reads when there is something.
//
// Lifetime: from `Backend::submit` until the operation is reported, the operation *and the memory
// it points to* belong to the back-end. Cancelling does not end that; only the report does.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/intrusive_list.h>

#include <cstddef>
#include <cstdint>
#include <span>

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

/// How much the caller of a `read` or `write` knows about the descriptor.
enum class Blocking : std::uint8_t {
    unknown,  ///< Nothing. A back-end to which it matters asks the kernel, a system call each time.
    never,    ///< It is in non-blocking mode, and says EAGAIN when it must.
    possible,  ///< It may hold up the thread: a file, say.
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
    Blocking blocking = Blocking::unknown;  ///< `read` and `write` only.
    /// The back-end's own while it is in flight.
    std::uint8_t marks = 0;
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

    /// For a `read` without a `buffer`. The back-end calls it once, with the bytes that have come,
    /// at least one and `size` at the most, before the operation is finished: within `submit` or
    /// `wait`. They have to be copied there and then. It is not called at the end of the stream,
    /// nor for an error. It must not call the back-end.
    void (*receive)(Operation&, std::span<const char> bytes) noexcept = nullptr;
};

using OperationList = internal::IntrusiveList<Operation>;

}  // namespace asyncio::lowlevel
