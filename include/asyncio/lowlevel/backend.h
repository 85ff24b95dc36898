#pragma once
// The contract between the loop and a back-end, which carries out its requests. There are three
// back-ends: `io_uring`, `epoll` and `simulated`. The code above the back-ends cannot tell them
// apart, and one suite tests all three.
//
// The contract
//
//  1. Every operation given to `submit` is finished exactly once: either `submit` itself answers
//     `finished`, or a later `wait` puts it on the list. The rule also holds after `cancel`.
//     Cancelling is a request: the operation may still succeed, and its result says what happened
//     (−ECANCELED, or what the operation has done). A back-end never discards what an operation has
//     done.
//  2. From `submit` until that moment the back-end owns the operation and its buffer. It never
//     touches them afterwards. A read without a buffer takes up no memory while it waits: the bytes
//     go through one buffer of the back-end to the operation's `receive`.
//  3. The back-end queues finished operations and runs no code for them: no callback runs in
//     `submit`, `cancel` or `wait`, with the exception of `receive`, which copies bytes and
//     returns. So there is no recursion, and a coroutine is always resumed on the stack of the
//     loop.
//  4. The shape is completion, whatever the kernel offers: "read this" rather than "tell me when I
//     may". A back-end without completions tries the call, waits for readiness when it would block,
//     and tries again.
//  5. Results are the system call's own: ≥ 0, or −errno. EINTR and EAGAIN are never reported; they
//     are retried. (`OperationKind::connect` has one result of its own. The result of an operation
//     with MSG_DONTWAIT may be −EAGAIN.)
//  6. File descriptors are given in non-blocking mode. (Regular files have no such mode and need
//     none.) The back-end's own descriptors, and numbers that are no descriptors, give EBADF; a
//     wait for an event that a file never reports gives EPERM. Descriptors that the back-end makes,
//     and its own, never have the numbers 0 to 2.
//  7. `wait(deadline, …)` returns when an operation has finished, when `wake` was called, or when
//     the deadline has passed. It may return early and with an empty list. A deadline of
//     `internal::at_once` means: look, do not wait. The loop has the timers; the back-end knows
//     this one deadline and no other.
//  8. At most one waiting system call per `wait`; none at all for `at_once` when no operation is in
//     flight.
//  9. A `close` ends the operations that are in flight on its descriptor. A later `wait` reports
//     them as −ECANCELED, or with what they have done. They do not touch the descriptor any more,
//     whose number may belong to another file by then.
// 10. Finishing order is unspecified between operations that finish together. The simulated
//     back-end shuffles it.
// 11. The kinds whose calls never wait (`Call::at_once` in src/backend/operation_kind.h, `socket`
//     and `setsockopt` for example) finish within `submit`. The messages of sockets (`recv`,
//     `sendmsg` and their kin) do the same if their flags have MSG_DONTWAIT. So code that is no
//     coroutine may use them, and lend them memory for the time of the call.
// 12. Threads may use a back-end one after the other, whatever is in flight. A thread that has
//     called `wait` calls `hand_over` before another one takes over. Destruction counts as use.
//
// Thread-safety: one thread at a time (rule 12), except `wake`, which any thread and any signal
// handler may call at any time between construction and destruction.

#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/operation.h>

#include <cstdint>
#include <memory>
#include <string>

namespace asyncio::lowlevel {

class Names;

/// A back-end. Derive a class from it to bring another kernel interface, or another simulation; the
/// contract is at the top of this file.
class [[gnu::visibility("default")]] Backend {
public:
    /// The answer of `submit`.
    enum class Submitted : std::uint8_t { in_flight, finished };
    /// The answer of `wait`.
    enum class Waited : std::uint8_t {
        ok,
        /// This wait could not have ended: the deadline is `never`, no operation in flight can
        /// still finish, and no wake-up is expected. Only the simulated back-end can know this. A
        /// program whose other threads will wake it says so by `expect_wakes`, or keeps an
        /// operation on a real descriptor in flight.
        deadlock,
    };

    virtual ~Backend() = default;

    /// "io_uring", "epoll" or "simulated".
    virtual const char* name() const noexcept = 0;

    /// Starts `operation`, which must be idle (or finished and filled in again).
    virtual Submitted submit(Operation& operation) noexcept = 0;

    /// Asks for the early end of an operation that is in flight. Asking twice is allowed.
    virtual void cancel(Operation& operation) noexcept = 0;

    /// Waits as rule 7 says, and appends the operations that have finished to `finished`, each in
    /// the state `finished`.
    virtual Waited wait(TimePoint deadline, OperationList& finished) noexcept = 0;

    /// Whether a `wait` until `at_once` is worth its price while tasks are ready: an operation may
    /// have finished, and the last `wait` was some 50 µs ago. Makes no system call. A back-end with
    /// a clock of its own returns false.
    virtual bool look_is_due() noexcept { return false; }

    /// Prepares for another thread to use the back-end next. The kernel ties some requests to the
    /// thread that made them, and cancels them when that thread ends. These are taken back here,
    /// and the next `wait` makes them again. No operation is reported. Calling this without need is
    /// allowed and cheap.
    virtual void hand_over() noexcept {}

    /// The descriptor leaves the loop: the program takes it back and may close it by a system call.
    /// What is in flight on it ends, as for a `close`. The back-end forgets what it knows of it
    /// (see `Blocking::owned`).
    virtual void disown(int fd) noexcept { static_cast<void>(fd); }

    /// Closes a descriptor without an operation, for a caller who has no memory for one. What is in
    /// flight on it ends, as for a `close`.
    virtual void close_now(int fd) noexcept {
        disown(fd);
        const Fd closes(fd);
    }

    /// Makes the current or the next `wait` return at once. Any thread, any signal handler.
    virtual void wake() noexcept = 0;

    /// Adds `change` to the number of wake-ups that are certain to come from other threads: a
    /// worker has a job, for example, and will announce its end. A back-end that asks the kernel
    /// need not know this. The simulated back-end cannot see threads. While wake-ups are expected,
    /// it waits for them in real time, and does not take the wait for a deadlock.
    virtual void expect_wakes(int change) noexcept { static_cast<void>(change); }

    /// The time of the loop's clock, which is monotonic, and virtual on the simulated back-end.
    virtual TimePoint now() noexcept = 0;

    /// What answers questions about names (`lowlevel/names.h`). A null pointer means the system.
    /// The object must live as long as the back-end.
    virtual Names* names() noexcept { return nullptr; }
};

/// How the simulated world behaves. The same numbers give the same run, down to the order of single
/// steps.
struct SimulationOptions {
    /// The seed of every choice that the contract leaves open. 0 gives the plainest run: no
    /// shuffling, no short reads or writes, no delays.
    std::uint64_t seed = 0;
    /// How much the files in the world's memory may hold together. Then writes fail with ENOSPC.
    std::uint64_t disk_size_bytes = std::uint64_t{1} << 30;
};

/// Which back-end a loop uses.
enum class BackendKind : std::uint8_t {
    automatic,  ///< `ASYNCIO_BACKEND` if set, else io_uring where the kernel grants it, else epoll.
    io_uring,
    epoll,
    simulated,
};

/// Makes a back-end.
///
/// `automatic` reads the environment. `ASYNCIO_BACKEND=io_uring|epoll|simulated` forces a back-end,
/// and `ASYNCIO_SEED=N` gives the seed of `simulated`. If no back-end is forced and the kernel
/// refuses a ring, epoll takes over, and the debug log (`ASYNCIO_DEBUG=1`) says so in one line.
/// Throws: `asyncio::OsError` if a forced back-end cannot be made; the message names it and the
/// reason. `std::invalid_argument` for a word that names no back-end, or a seed that is not a
/// number.
std::unique_ptr<Backend> make_backend(BackendKind kind = BackendKind::automatic);

/// Makes a simulated back-end with the given options, for tests.
std::unique_ptr<Backend> make_simulated_backend(SimulationOptions options);

}  // namespace asyncio::lowlevel
