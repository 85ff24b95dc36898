#pragma once
// Waiting in line: the base of everything in `sync`.
//
// A waiter is part of the awaiter, which is in the frame of the coroutine that waits: nothing is
// allocated. One link takes it through all its states:
//
//   waiting    in the queue
//   woken      in the loop's ready queue, until it runs in the next iteration
//   cancelled  still in the queue, in its old place; the task is ready, and leaves when it runs
//
// A cancelled waiter keeps its place for that one iteration because CPython's waiters do, and
// programs can see it. A release of a lock whose first waiter has just been cancelled wakes no
// task; the cancelled one does it when it runs. With the same rule here, a program has the same
// order of events in both.
//
// A waiter that was woken and is cancelled before it runs has taken something with it: a permit, a
// notification, a chance to take an item. It finds the request when it runs. The awaiter then gives
// what it has taken to the next waiter, and throws. So every wait ends with `leave` and a look at
// `cancelled()`; this is how no wake-up is ever lost.
//
// `wake` makes the waiter's own node ready, and not the task. The node usually runs the next step
// of the task. A wait with a condition (`Queue::get`, `Barrier::wait`) first looks whether the
// condition holds by then. If it does not, the node goes back into the line, and the task has not
// run.
//
// The queue may be destroyed while tasks wait in it, because programs end that way: the main
// coroutine has a local queue and leaves it, and the workers are cancelled afterwards. The waiters
// are then detached. A detached waiter does not know the queue any more, waits on, and leaves when
// it is cancelled. Waiters in the line are found there; waiters that were woken are searched among
// the loop's tasks, so that the usual wake-up costs nothing for this rare case. A detached waiter
// that was woken is taken out of the ready queue again, with one exception: it keeps its turn if
// what it waited for has happened and needs no queue (an event was set). After a wait, an awaiter
// asks `detached()` before it touches the queue; only a cancelled waiter can be detached.
//
// Thread-safety: loop thread only. A queue belongs to the first loop in which a task waits.

#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/lowlevel/waiter.h>
#include <asyncio/outcome.h>

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <string_view>

namespace asyncio::internal {

class WaitQueue;

/// A place in line, the base of an awaiter.
class QueuedWaiter : public lowlevel::Waiter, public Ready {
public:
    /// Ends a wait: every waiter calls this when it runs. True if it was woken, false if it was
    /// cancelled before that.
    bool leave() noexcept;

protected:
    QueuedWaiter() noexcept : Waiter(Queued()) { run = &run_task; }

    /// Suspends the task at `coroutine` until it is woken. Throws: RuntimeError outside a task, and
    /// if the queue belongs to another loop; it names `function`, which the program has called.
    template <class Promise>
    void wait_in(WaitQueue& queue, std::coroutine_handle<Promise> coroutine, const char* function);

    /// Whether the queue has been destroyed, so that its owner may not be touched either.
    bool detached() const noexcept { return queue_ == nullptr; }

    /// At the end of a wait: whether a CancelledError must be thrown. A request may have come
    /// before the wake-up (`cancelled`) or after it (the task has it).
    bool cancelled() { return state_ == State::cancelled || task().must_cancel(); }

    /// The end of a wait that has no result. Throws: CancelledError if it was interrupted.
    void finish(bool interrupted) {
        if (interrupted) [[unlikely]]
            task().throw_cancelled();
    }
    /// The same for `settle`: a cancellation comes as a value.
    Outcome<void> finish_quietly(bool interrupted) {
        Outcome<void> outcome;
        if (interrupted) {
            outcome.fail(task().take_cancellation());
        } else {
            outcome.emplace();
        }
        return outcome;
    }

    /// The usual `run` of the node: the task continues, in the same turn. Calling the step directly
    /// saves a second pass through the ready queue, and keeps CPython's order of events.
    static void run_task(Ready& node) noexcept {
        TaskCore& task = static_cast<QueuedWaiter&>(node).task();
        task.run(task);
    }

    /// Forgets the queue, which is about to be destroyed. True if the task waits on, until it is
    /// cancelled; false if it runs soon. `keeps_turn`: the waiter was woken, and has what it waited
    /// for.
    bool detach(bool keeps_turn) noexcept;

    /// For hooks: marks the waiter as cancelled. False if it was woken already.
    bool cancel_wait() noexcept;

private:
    friend WaitQueue;
    /// `served`: woken, and the queue has been destroyed since.
    enum class State : std::uint8_t { waiting, woken, cancelled, served };

    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
        return static_cast<QueuedWaiter&>(waiter).cancel_wait() ? Abort::removed : Abort::too_late;
    }

    WaitQueue* queue_;  // set by `enter`; null once the queue is gone
    State state_ = State::waiting;

protected:
    /// A request to cancel was delivered to this wait, which throws it at its end. Set by `enter`.
    bool cancellation_noted_;
};

/// The line. Its owner (a lock, an event, a queue) says what a wake-up means. The owner's
/// destructor calls `abandon`; the line cannot, because it does not know what its waiters wait for.
class WaitQueue {
public:
    WaitQueue() noexcept = default;
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;
    ~WaitQueue() { assert(!in_use() && "the owner of the queue must detach its waiters first"); }

    /// Whether a waiter still refers to this queue; a cancelled waiter that has not left yet
    /// counts.
    bool in_use() const noexcept {
        return present_ != 0 || !waiters_.empty() || !passed_over_.empty();
    }

    /// Whether a waiter that was woken has what it waited for although the queue is destroyed.
    using KeepsTurn = bool (*)(QueuedWaiter& waiter) noexcept;

    /// Called by the destructor of the queue's owner, if the queue is in use: detaches all waiters.
    /// Returns how many wait on. Without `keeps_turn` no wake-up can be carried out.
    /// Cost: O(waiters), and O(tasks of the loop) if a woken waiter has not run yet.
    std::size_t abandon(KeepsTurn keeps_turn = nullptr) noexcept;

    /// The same, with a warning in debug mode. `what` with its article: "a lock".
    void abandon_and_warn(const char* what, KeepsTurn keeps_turn = nullptr) noexcept {
        if (in_use()) [[unlikely]]
            warn_of_waiters(what, abandon(keeps_turn));
    }
    /// In debug mode, if a loop runs and `waiters` is not zero: warns that `what` has left tasks
    /// behind.
    static void warn_of_waiters(const char* what, std::size_t waiters) noexcept;

    /// Whether a task waits, or was woken and has not run yet: a newcomer has to queue then.
    bool occupied() const noexcept { return present_ != 0; }

    /// Ties the queue to the running loop. Throws: RuntimeError if it belongs to another one. That
    /// loop may be gone, and another may have come to its address, so the number is compared.
    void bind(const char* function) {
        if (loop_ == nullptr) bind_first();
        if (loop_number_ != here.loop->number()) [[unlikely]]
            refuse_loop(function);
    }

    /// In debug mode, once the queue belongs to a loop: throws RuntimeError if that loop runs on
    /// another thread at the moment. Otherwise the cost is one look at a pointer.
    void check_thread() const {
        if (home_ != nullptr) [[unlikely]]
            require_own_thread(*home_);
    }

    /// Joins the line, at its end. Throws as `bind`.
    void enter(QueuedWaiter& waiter, const char* function) {
        bind(function);
        waiter.cancellation_noted_ = false;
        wait_again(waiter);
    }
    /// The same for a waiter that has waited here before.
    void wait_again(QueuedWaiter& waiter) noexcept {
        waiter.queue_ = this;
        waiter.state_ = State::waiting;
        waiters_.push_back(waiter);
        ++present_;
    }

    /// Wakes the first waiter that is not cancelled. False if there is none. Cancelled waiters in
    /// front of it move to a second list until they leave, so that a line of many cancelled ones is
    /// not walked again at every call.
    bool wake_next() noexcept {
        while (!waiters_.empty()) {
            QueuedWaiter& first = waiters_.pop_front();
            if (first.state_ != State::waiting) {
                passed_over_.push_back(first);
                continue;
            }
            wake(first);
            return true;
        }
        return false;
    }

    /// Wakes the waiter at the front, unless a woken or cancelled waiter has not run yet: that
    /// waiter will decide which one is next. For a lock, which only one task can have.
    void wake_front() noexcept {
        if (woken_ == 0 && !waiters_.empty() && waiters_.front().state_ == State::waiting)
            wake(waiters_.pop_front());
    }

    void wake_all() noexcept {
        while (wake_next()) {
        }
    }

private:
    friend QueuedWaiter;
    using State = QueuedWaiter::State;

    /// The waiter has left the line and joins the ready queue with the same link.
    void wake(QueuedWaiter& waiter) noexcept {
        waiter.state_ = State::woken;
        ++woken_;
        loop_->schedule(waiter);
    }
    [[gnu::cold]] void bind_first();
    [[noreturn, gnu::cold]] static void refuse_loop(const char* function);

    IntrusiveList<QueuedWaiter> waiters_;
    /// Cancelled waiters that were at the front when another was woken, until they leave.
    IntrusiveList<QueuedWaiter> passed_over_;
    /// The loop of the first task that waited; null until then.
    lowlevel::Loop* loop_ = nullptr;
    /// In debug mode, the gate of that loop, which may be gone.
    std::shared_ptr<LoopGate> home_;
    /// The number of that loop; 0 until then.
    std::uint32_t loop_number_ = 0;
    /// Waiters that wait or were woken. Waiters that were cancelled while they waited are not
    /// counted.
    std::uint32_t present_ = 0;
    /// Waiters that were woken and have not run yet.
    std::uint32_t woken_ = 0;
};

template <class Promise>
void QueuedWaiter::wait_in(WaitQueue& queue, std::coroutine_handle<Promise> coroutine,
                           const char* function) {
    task(function);
    queue.enter(*this, function);
    park(coroutine, &abort);
}

inline bool QueuedWaiter::cancel_wait() noexcept {
    if (state_ != State::waiting) return false;
    state_ = State::cancelled;
    if (queue_ != nullptr) [[likely]]
        --queue_->present_;
    return true;
}

inline bool QueuedWaiter::leave() noexcept {
    if (state_ != State::woken) [[unlikely]] {
        if (linked()) unlink();
        return state_ == State::served;
    }
    --queue_->present_;
    --queue_->woken_;
    return true;
}

}  // namespace asyncio::internal
