#pragma once
// A meeting point for a fixed number of tasks.
//
// A round has two phases. While the barrier fills, tasks arrive and wait; the last one opens it.
// While it drains, those tasks leave one by one, and who comes for the next round waits until the
// last of them has left. `reset` drains it with an error instead; `abort` breaks it for good, until
// a reset.
//
// Every change wakes all who wait, and each looks at its turn whether the change concerns it; if
// not, it waits again. A waiter that is cancelled may have been woken for a change, so it wakes the
// next, which looks as well.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/wait_queue.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

#include <cstddef>

namespace asyncio {

class Barrier;

namespace internal {

class BarrierAwaiter final : public QueuedWaiter {
public:
    explicit BarrierAwaiter(Barrier& barrier) noexcept;

    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine);
    std::size_t await_resume() { return take_outcome().value(); }
    Outcome<std::size_t> take_outcome();

private:
    /// `dismissed`: was inside, and is to leave with an error.
    enum class Place : std::uint8_t { outside, inside, refused, dismissed };

    static void look_again(Ready& node) noexcept;
    bool must_wait() noexcept;
    bool must_fail() const noexcept;
    void arrive() noexcept;
    void leave_barrier() noexcept;
    bool end_wait() noexcept;
    static bool settle(QueuedWaiter& waiter) noexcept;

    friend Barrier;

    Barrier& barrier_;
    /// How many had arrived before.
    std::size_t index_ = 0;
    Place place_ = Place::outside;
};

}  // namespace internal

/// What `Barrier::wait` returns.
using BarrierWait = lowlevel::Awaiting<internal::BarrierAwaiter, Barrier&>;

/// Holds tasks back until `parties` of them are there; can be used again and again.
///
/// Lifetime: may go while tasks wait for it. If it had opened for them, was reset or aborted, their
/// wait ends as it would have; those for whom it has not opened wait on until they are cancelled.
/// Python: `asyncio.Barrier`. Differences: `reset` and `abort` are plain functions, since they
/// never wait.
class Barrier {
public:
    /// Throws: `std::invalid_argument` if `parties` is less than 1.
    explicit Barrier(std::ptrdiff_t parties);
    ~Barrier() { waiting_.abandon_and_warn("a barrier", &internal::BarrierAwaiter::settle); }

    /// Waits until as many tasks as the barrier needs are waiting. Returns which one this is, from
    /// 0 in the order of arrival: so that one of them can be chosen for something.
    ///
    /// The last one does not wait.
    /// Throws: BrokenBarrierError if the barrier is broken, or is reset or aborted meanwhile;
    /// RuntimeError if it must wait and is not awaited in a task, or the barrier has been waited at
    /// in another loop.
    /// Cancellation: a cancellation point if it must wait; the barrier then waits for one more, and
    /// is not broken.
    /// Python: `barrier.wait()`.
    BarrierWait wait() noexcept { return BarrierWait(*this); }

    /// Those who wait get a BrokenBarrierError, and the barrier is as new, when they have left.
    /// Throws: in debug mode RuntimeError on another thread than that of the barrier's loop.
    void reset();
    /// Tasks that wait, or come, get a BrokenBarrierError, until `reset`. Throws: as `reset`.
    void abort();

    std::size_t parties() noexcept { return parties_; }
    /// How many wait for the barrier to open.
    std::size_t n_waiting() noexcept { return state_ == State::filling ? inside_ : 0; }
    /// Whether it was aborted.
    bool broken() noexcept { return state_ == State::broken; }

private:
    friend internal::BarrierAwaiter;
    enum class State : std::uint8_t { filling, draining, resetting, broken };

    internal::WaitQueue waiting_;
    std::size_t parties_;
    /// Tasks that have arrived and not left.
    std::size_t inside_ = 0;
    State state_ = State::filling;
};

template <class Promise>
void internal::BarrierAwaiter::await_suspend(std::coroutine_handle<Promise> coroutine) {
    try {
        wait_in(barrier_.waiting_, coroutine, "Barrier::wait()");
    } catch (...) {
        if (place_ == Place::inside) leave_barrier();
        throw;
    }
}

}  // namespace asyncio
