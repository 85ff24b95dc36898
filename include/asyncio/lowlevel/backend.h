#pragma once
// The contract between the loop and whatever carries out its requests. There are three back-ends,
// one file each: `io_uring`, `epoll` and `simulated`; nobody above this line can tell them apart,
// and one suite tests all three.
//
// The contract
//
//  1. Every operation given to `submit` is finished exactly once: either `submit` itself answers
//     `finished`, or a later `wait` puts it on the list. That holds after `cancel` too. Cancelling
//     is a request: the operation may still succeed, and its result says which (−ECANCELED, or what
//     it achieved). Nothing achieved is ever discarded.
//  2. From `submit` until then the operation and its buffer are the back-end's. It never touches
//     them afterwards. A read without a buffer takes none up while it waits: the bytes go through
//     one buffer of the back-end's to the operation's `receive`.
//  3. Finished operations are queued, never acted on inside the back-end: no callback runs in
//     `submit`, `cancel` or `wait` (but for `receive`, which copies and returns), so nothing
//     recurses, and the stack at a resume is always the loop's.
//  4. The shape is completion, whatever the kernel offers: "read this" rather than "tell me when I
//     may". A back-end without completions tries the call, waits for readiness when it would block,
//     and tries again.
//  5. Results are the system call's own: ≥ 0, or −errno. EINTR and EAGAIN are never reported; they
//     are retried.
//  6. File descriptors are given in non-blocking mode. (Regular files have no such mode and need
//     none.) The back-end's own descriptors, and numbers that mean nothing, are EBADF;
//     to wait for what a file never reports is EPERM. Descriptors
//     that come from the back-end, and its own, keep clear of the numbers 0 to 2.
//  7. `wait(deadline, …)` returns when something finished, when `wake` was called, or when the
//     deadline passed. It may return early and with nothing. A deadline of `internal::at_once`
//     means: look, do not wait. Timers are the loop's; the back-end knows this one deadline and no
//     other.
//  8. At most one waiting system call per `wait`; none at all for `at_once` when nothing is in
//     flight.
//  9. An operation on a descriptor that is being closed by another operation is the caller's
//     mistake: cancel and collect first.
// 10. Finishing order is unspecified between operations that finish together. The simulated
//     back-end shuffles it.
//
// 11. Threads may use a back-end one after the other, whatever is in flight. A thread that has
//     called `wait` calls `hand_over` before another one takes over. Destruction counts as use.
//
// Thread-safety: one thread at a time (rule 11), except `wake`, which any thread and any signal
// handler may call at any time between construction and destruction.

#include <asyncio/internal/time.h>
#include <asyncio/lowlevel/operation.h>

#include <cstdint>
#include <memory>
#include <string>

namespace asyncio::lowlevel {

class [[gnu::visibility("default")]] Backend {
public:
    enum class Submitted : std::uint8_t { in_flight, finished };
    enum class Waited : std::uint8_t {
        ok,
        /// The deadline is `never`, nothing that is in flight could still finish, and nobody is
        /// known who would wake us: this wait could not have ended. Only the simulated back-end
        /// can tell. A program whose other threads will wake it says so with `expect_wakes`, or
        /// keeps an operation on a real descriptor in flight.
        deadlock,
    };

    virtual ~Backend() = default;

    /// "io_uring", "epoll" or "simulated".
    virtual const char* name() const noexcept = 0;

    /// Starts `operation`, which must be idle (or finished and filled in again).
    virtual Submitted submit(Operation& operation) noexcept = 0;

    /// Asks for the early end of an operation that is in flight. Asking twice is allowed.
    virtual void cancel(Operation& operation) noexcept = 0;

    /// Waits as rule 7 says and appends what finished to `finished`, in state `finished`.
    virtual Waited wait(TimePoint deadline, OperationList& finished) noexcept = 0;

    /// Whether a `wait` until `at_once` would be worth its price, while the program has other
    /// things to do: something may have come, and the last `wait` is some 50 µs past. Makes no
    /// system call. A back-end whose time is not the kernel's says no.
    virtual bool look_is_due() noexcept { return false; }

    /// Another thread may go on from here, and may end before this one does: what the kernel ties
    /// to the calling thread is taken back, and started again by the next `wait`. Nothing is
    /// reported. Calling it without need is allowed and cheap.
    virtual void hand_over() noexcept {}

    /// Makes the current or the next `wait` return at once. Any thread, any signal handler.
    virtual void wake() noexcept = 0;

    /// `change` more (less, if negative) wake-ups are certain to come from other threads: a worker
    /// has a job whose end it will announce. A back-end that asks the kernel need not know. The
    /// simulated one cannot see threads; while wake-ups are expected it waits for them, at the pace
    /// of real time, and does not take the wait for a deadlock.
    virtual void expect_wakes(int change) noexcept { static_cast<void>(change); }

    /// The loop's time: monotonic, and on the simulated back-end virtual.
    virtual TimePoint now() noexcept = 0;
};

/// How the simulated world behaves. The same numbers give the same run, to the last tick.
struct SimulationOptions {
    /// Seed of every choice the contract leaves open. 0 makes the plainest run: no shuffling, no
    /// short reads or writes, no delays.
    std::uint64_t seed = 0;
};

enum class BackendKind : std::uint8_t {
    automatic,  ///< `ASYNCIO_BACKEND` if set, else io_uring where the kernel grants it, else epoll.
    io_uring,
    epoll,
    simulated,
};

/// Makes a back-end.
///
/// `automatic` reads the environment: `ASYNCIO_BACKEND=io_uring|epoll|simulated` forces one, and
/// for `simulated`, `ASYNCIO_SEED=N` gives the seed. Without it, a refused ring is no error: epoll
/// takes over, and the debug log (`ASYNCIO_DEBUG=1`) says so in one line.
/// Throws: `asyncio::OsError` when a forced back-end cannot be had, naming it and the reason;
/// `std::invalid_argument` for a word that names no back-end or a seed that is no number.
std::unique_ptr<Backend> make_backend(BackendKind kind = BackendKind::automatic);

std::unique_ptr<Backend> make_simulated_backend(SimulationOptions options);

}  // namespace asyncio::lowlevel
