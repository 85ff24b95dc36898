#pragma once
// The simulated world's window to the real one: operations on real descriptors, real time, and the
// bell that other threads ring.
//
// A program under simulation may still start real children and read real pipes. Such an operation
// is tried with the real call, which never blocks, and is kept here as long as it cannot be
// finished. An operation on a real file that has to wait for the disk goes to a thread, as it does
// under epoll. While an operation is kept, the world waits for real, and its clock moves as the
// real one does.
// Determinism ends there: the kernel and not the plan decides what happens, and when. The plan does
// not even shorten real reads and writes, because a short read of a datagram loses the rest of it,
// and an eventfd refuses one.
//
// The rejected alternative is to refuse real descriptors. A test of a program that starts commands
// could then not run in the simulation at all, although most of what it does is deterministic.
//
// Thread-safety: one thread, except `Doorbell::ring`.

#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/attempt.h"
#include "backend/file_threads.h"

#include <atomic>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct pollfd;

namespace asyncio::lowlevel::simulated {

/// The bell that `wake` rings: a flag and an eventfd. While the world's time is virtual it looks at
/// the flag alone. The eventfd ends a real wait.
///
/// The back-ends of the kernel have a bell of their own (wake_event.h), whose eventfd is never
/// emptied because they watch its edge. poll(2) knows levels only, so this one must be emptied. And
/// while its time is virtual the world makes no system call to see that the bell did not ring.
///
/// The flag decides, and the eventfd is a hint. A ring raises the flag and then writes to the
/// eventfd; an answer lowers the flag and then empties the eventfd. Two races are left open on
/// purpose:
///  - A ring between the two steps of an answer raises the flag and loses its hint. So after an
///    answer the world does not wait before it has looked at the flag again.
///  - A ring may write only after it was answered. The next real wait then ends early and with
///    nothing, which the contract allows.
class Doorbell {
public:
    /// Throws: `OsError` when the process has no descriptor left.
    Doorbell();

    /// Any thread, any signal handler: errno is left as it was.
    void ring() noexcept;

    /// Has it rung since the last answer? Only the world's thread.
    bool answer() noexcept;

    /// As `answer`, after a real wait that the eventfd ended: the flag may be down already, and the
    /// eventfd still has to be emptied.
    void silence() noexcept;

    /// Readable when it has rung.
    int number() const noexcept { return eventfd_.get(); }

private:
    std::atomic<bool> rung_{false};
    static_assert(std::atomic<bool>::is_always_lock_free, "ring() must be safe in signal handlers");
    Fd eventfd_;
};

/// The operations in flight on real descriptors.
class RealDescriptors {
public:
    RealDescriptors();

    /// Tries the operation. Returns its result, or `would_block`; the operation then has to be
    /// kept. A close ends the operations that are kept on its descriptor (`let_go`), and waits
    /// itself while a thread uses the descriptor.
    int attempt(Operation& operation) noexcept;

    /// The number is about to lose its meaning. The operations that are kept on it end as
    /// −ECANCELED, and the next look reports them. False if a thread uses the descriptor at the
    /// moment; its operation goes on.
    bool let_go(int fd) noexcept;

    /// Keeps an operation that was tried and would block.
    void keep(Operation& operation) noexcept;

    /// Asks for the early end of an operation that is kept. True if it has left, without an effect.
    /// False if a thread has it, or if it was carried out: a look reports what became of it.
    bool cancel(Operation& operation) noexcept;

    /// `change` more rings of the bell are certain to come (fewer, if negative). The sum is never
    /// negative.
    void expect_rings(int change) noexcept;

    /// Whether nothing is kept and no ring is expected; then time is virtual.
    bool empty() const noexcept {
        return kept_.empty() && expected_rings_ == 0 && file_threads_.empty() && done_here_.empty();
    }

    /// How much real time has passed since the last call, or since the object stopped being empty.
    Duration time_passed() noexcept;

    /// Waits until a kept operation may be possible, the bell rings, or `limit` has passed
    /// (`Duration::max()`: no limit), then moves every operation that could be carried out, with
    /// its result, to `carried_out`. The one call in which the simulated back-end waits.
    void look(Duration limit, OperationList& carried_out) noexcept;

    Doorbell& doorbell() noexcept { return doorbell_; }
    Scratch& scratch() noexcept { return scratch_; }

private:
    // The marks of an operation in flight.
    static constexpr unsigned waits_for_disk = 1;  ///< Not for readiness: a thread carries it out.
    static constexpr unsigned in_thread = 2;       ///< `file_threads_` has it.
    static constexpr unsigned cancel_requested = 4;  ///< While it is with `file_threads_`.
    static constexpr unsigned done_here = 8;         ///< It is in `done_here_`, with its result.

    void give_to_threads(Operation& operation) noexcept;
    void end_here(Operation& operation, int result) noexcept;
    void collect_from_threads(OperationList& carried_out) noexcept;
    void wait_for_readiness(Duration limit, OperationList& carried_out) noexcept;
    bool list_descriptors() noexcept;
    void leave_out(int fd) noexcept;

    OperationList kept_;
    int expected_rings_ = 0;
    /// The real time of the last `time_passed`. Has no meaning while the object is empty.
    TimePoint last_asked_{};
    Doorbell doorbell_;
    Scratch scratch_;

    /// Built anew for each look: the bell first, then every descriptor once, however many
    /// operations it has, because the kernel refuses a list that is longer than the process may
    /// have descriptors.
    std::vector<pollfd> watched_;
    /// Descriptors that answer with an error or a hang-up although the wanted call would block.
    /// poll(2) would report them without end. So the next look leaves them out, lasts a millisecond
    /// at most, and tries their operations.
    std::unordered_set<int> useless_;
    /// Where in `watched_` a descriptor stands. A member only to keep its memory from look to look.
    std::unordered_map<int, std::size_t> place_;

    /// Operations that have ended and wait for the next look: a close has ended them, or they were
    /// carried out here because no thread could be found for them.
    OperationList done_here_;
    /// The last member: its threads ring the bell until it is destroyed.
    FileThreads file_threads_{[](void* bell) noexcept { static_cast<Doorbell*>(bell)->ring(); },
                              &doorbell_};
};

}  // namespace asyncio::lowlevel::simulated
