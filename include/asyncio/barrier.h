#pragma once
// A meeting point for a fixed number of tasks: all of them wait until the last one has arrived.
//
// A round has two phases. While the barrier is filling, tasks arrive and wait. The last task to
// arrive opens the barrier, and does not wait itself. While the barrier is draining, the tasks
// leave one by one, each in its own step. A task that comes for the next round during this time
// waits outside, until the last task of the present round has left. Without the second phase a fast
// task could enter the next round and be counted again, while a slow task of the present round is
// still inside. The barrier would then open with a task too few.
//
//    state       a task that arrives           a task inside
//    filling     goes inside and waits         waits
//    draining    waits outside                 leaves with its number
//    resetting   waits outside                 leaves with BrokenBarrierError
//    broken      gets BrokenBarrierError       leaves with BrokenBarrierError
//
// The last task that leaves turns `draining` and `resetting` into `filling`. `broken` stays until
// `reset`.
//
// Every change of the state wakes all waiters, inside and outside. Each waiter's node looks, in the
// next iteration, whether the change concerns it; if not, it stays in line, and its task does not
// run. Waking all makes cancellation simple here: a wake-up carries nothing that a cancelled waiter
// would have to pass on. A cancelled waiter that was inside only lowers the count. The alternative,
// a separate line for each phase, would save some looks and need a rule for every pair of a change
// and a cancellation.
//
// `index_` is the number of the task in its round, so that one task (number 0, for example) can do
// something for all of them.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/sync/wait_queue.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

#include <cstddef>

namespace asyncio {

class Barrier;

namespace internal {

/// The awaiter of `Barrier::wait`.
class BarrierAwaiter final : public QueuedWaiter {
public:
    explicit BarrierAwaiter(Barrier& barrier) noexcept;

    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine);
    std::size_t await_resume() { return take_outcome().value(); }
    Outcome<std::size_t> take_outcome();

private:
    /// Where the task stands. `refused`: it arrived at a broken barrier. `dismissed`: it was
    /// inside, and has to leave with an error.
    enum class Stage : std::uint8_t { outside, inside, refused, dismissed };

    /// The node has been woken: resumes the task, or puts the node back in line.
    static void look_again(Ready& node) noexcept;
    /// Takes every step that the state of the barrier allows. True if the task has to wait after
    /// that.
    bool must_wait() noexcept;
    /// Whether the state of the barrier ends a wait inside with an error.
    bool must_fail() const noexcept;
    /// The two steps of a round: goes inside, and leaves. The last task to arrive opens the
    /// barrier; the last one to leave makes it ready for the next round.
    void arrive() noexcept;
    void leave_barrier() noexcept;
    /// True if a CancelledError is to be thrown.
    bool end_wait() noexcept;
    /// The barrier is being destroyed. Notes in the awaiter what the barrier would tell it. True if
    /// that ends the wait.
    static bool settle(QueuedWaiter& waiter) noexcept;

    friend Barrier;

    Barrier& barrier_;
    /// How many tasks of the round had arrived before this one.
    std::size_t index_ = 0;
    Stage stage_ = Stage::outside;
};

}  // namespace internal

/// The return type of `Barrier::wait`.
using BarrierWait = lowlevel::Awaiting<internal::BarrierAwaiter, Barrier&>;

/// Holds tasks back until `parties` of them have arrived. A barrier can be used for any number of
/// rounds.
///
/// Lifetime: the barrier may be destroyed while tasks wait for it. If it had opened for a task, or
/// was reset or aborted, the wait of that task ends as it would have ended. All other tasks wait on
/// until they are cancelled.
/// Python: `asyncio.Barrier`. Differences: `reset` and `abort` are plain functions, since they
/// never wait.
class Barrier {
public:
    /// A barrier for rounds of `parties` tasks. Throws: `std::invalid_argument` if `parties` is
    /// less than 1.
    explicit Barrier(std::ptrdiff_t parties);
    ~Barrier() { waiting_.abandon_and_warn("a barrier", &internal::BarrierAwaiter::settle); }

    /// Waits until as many tasks have arrived as the barrier needs. The last task to arrive does
    /// not wait.
    /// Returns the number of this task in the round, from 0 in the order of arrival. So a program
    /// can choose one task of each round for something, the task with the number 0 for example.
    ///
    /// Throws: BrokenBarrierError if the barrier is broken, or is reset or aborted during the wait;
    /// RuntimeError if the call must wait and is not awaited in a task, or if the barrier belongs
    /// to another loop.
    /// Cancellation: a cancellation point if it must wait. The barrier is not broken by it; it
    /// waits for one task more.
    /// Python: `barrier.wait()`.
    BarrierWait wait() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return BarrierWait(*this); }

    /// Ends the round: every task inside gets a BrokenBarrierError. When they have left, the
    /// barrier can be used again, also a barrier that was broken.
    /// Throws: in debug mode RuntimeError, if called on another thread than that of the barrier's
    /// loop.
    void reset();
    /// Breaks the barrier: every task that waits, and every task that arrives until `reset`, gets a
    /// BrokenBarrierError. Throws: as `reset`.
    void abort();

    /// The number of tasks that a round needs.
    std::size_t parties() const noexcept { return parties_; }
    /// How many tasks wait for the barrier to open.
    std::size_t n_waiting() const noexcept { return state_ == State::filling ? inside_ : 0; }
    /// Whether the barrier was aborted and not reset since.
    bool broken() const noexcept { return state_ == State::broken; }

private:
    friend internal::BarrierAwaiter;
    enum class State : std::uint8_t { filling, draining, resetting, broken };

    internal::WaitQueue waiting_;
    std::size_t parties_;
    /// Tasks that have arrived and not left yet.
    std::size_t inside_ = 0;
    State state_ = State::filling;
};

template <class Promise>
void internal::BarrierAwaiter::await_suspend(std::coroutine_handle<Promise> coroutine) {
    try {
        wait_in(barrier_.waiting_, coroutine, "Barrier::wait()");
    } catch (...) {
        if (stage_ == Stage::inside) leave_barrier();
        throw;
    }
}

}  // namespace asyncio
