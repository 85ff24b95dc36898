#pragma once
// A request to the kernel, as data.
//
// An operation lives in the frame of the coroutine that waits for it, or in an object that outlives
// the wait (the state of a stream or of a child process). So a read or a write allocates nothing.
// The request is a tag and a few numbers, and not a virtual method. So only the back-end decides
// how a kind is carried out. The compiler demands a new kind at every place that must know it
// (src/backend/operation_kind.h lists the places).
//
// How an operation is used
//
//  1. The caller fills in the request (`kind`, `fd`, `buffer`, …) and `on_finished`.
//  2. `Backend::submit` carries it out at once (state `finished`, and `on_finished` is not called),
//     or keeps it (state `in_flight`).
//  3. A later `Backend::wait` puts the operation on the list of finished ones, with its `result`.
//     The loop then calls `on_finished`, once.
//  4. The caller may fill the operation in and submit it again, for example to write the rest of a
//     buffer.
//
// Step 3 happens after a cancel, too. A caller that gives up therefore does not free the operation:
// it asks the back-end for the early end and waits for the report.
//
// Owner and lifetime. From `submit` until the report, the operation *and the memory it points to*
// belong to the back-end. The back-end links the operation into its own lists, keeps notes in
// `marks` and `result`, and gives the operation's address to the kernel as the name of the request.
// So an operation must not move while it is in flight, and it cannot: a list node is neither copied
// nor moved.
//
// The base class is the node of an intrusive list. An operation is in one list at a time, and
// leaving that list from the middle, which is what a cancellation does, needs no search and no
// memory.
//
// `on_finished` is a plain function pointer and not a coroutine's handle, because back-end and loop
// do not know coroutines. Most callers make a task ready there; a stream's writer submits its next
// piece instead, with no task involved.
//
// A read without memory. A program with a hundred thousand idle connections would hold a hundred
// thousand buffers for bytes that have not come. So a read may name a function (`receive`) instead
// of a buffer. The back-end reads into one buffer of its own when there is something to read, and
// calls that function with the bytes.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/base/intrusive_list.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace asyncio::lowlevel {

/// The kind of a request. A kind stands here if the library has a caller for it.
enum class OperationKind : std::uint8_t {
    read,   ///< Up to `size` bytes into `buffer`; 0 is the end of the stream.
    write,  ///< Up to `size` bytes from `buffer`; may write fewer, never 0 unless asked to.
    /// Waits until one of `events` (POLLIN, POLLOUT, …) holds. The result is the mask of those that
    /// do. A pidfd becomes readable when its process has ended.
    poll,
    /// Makes a pipe: `buffer` is `int[2]`, read end first. Both ends non-blocking and
    /// close-on-exec.
    pipe,
    close,  ///< Closes `fd`. Afterwards the number is free, whatever the result says.
};

/// How much the caller of a `read` or `write` knows about the descriptor.
enum class Blocking : std::uint8_t {
    unknown,   ///< No knowledge: a back-end that must know asks the kernel.
    never,     ///< Non-blocking mode: the call says EAGAIN when it must.
    possible,  ///< The call may block the thread, as with a file.
};

/// A request: what to do, its present owner, and its result. The top of the file says how it is
/// used.
struct Operation : internal::ListNode {
    /// The present owner of the operation. Written by the back-end alone, so that the caller can
    /// tell at any time whether it may touch the operation.
    enum class State : std::uint8_t {
        idle,       ///< The caller's: may be filled in, submitted, destroyed.
        in_flight,  ///< The back-end's. It will be reported exactly once.
        finished,   ///< The caller's again; `result` holds.
    };

    OperationKind kind = OperationKind::read;
    State state = State::idle;
    Blocking blocking = Blocking::unknown;  ///< `read` and `write` only.
    /// Notes of the back-end while the operation is in flight. Each back-end has bits of its own;
    /// `submit` sets them anew.
    std::uint8_t marks = 0;
    std::int16_t events = 0;  ///< `poll` only.
    int fd = -1;
    void* buffer = nullptr;
    std::size_t size = 0;

    /// ≥ 0, or −errno. Valid in state `finished`. In flight it belongs to the back-end, which may
    /// keep a note there.
    int result = 0;

    /// Called by the loop, once, after `Backend::wait` reported the operation. The function must
    /// not block; it usually puts a task into the ready queue. It is not called when `submit`
    /// answered "finished already": that caller has the result in hand.
    void (*on_finished)(Operation&) noexcept = nullptr;

    /// For a `read` without a `buffer`. The back-end calls it once, within `submit` or `wait`,
    /// before the operation is finished. `bytes` is what has come: at least one byte and at most
    /// `size`. The function has to copy the bytes, because the next read uses the same buffer. It
    /// is not called at the end of the stream, nor for an error. It must not call the back-end,
    /// which is in the middle of its own work.
    void (*receive)(Operation&, std::span<const char> bytes) noexcept = nullptr;
};

using OperationList = internal::IntrusiveList<Operation>;

}  // namespace asyncio::lowlevel
