#pragma once
// Waiting in line, for everything in the room `sync`.
//
// A waiter lives in the awaiter, so in the frame of the coroutine that waits: nothing is allocated.
// One link takes it through its whole way:
//
//   waiting    in the queue
//   woken      in the loop's ready queue, until its turn in the next iteration
//   cancelled  still in the queue, in its old place; the task is ready and leaves when it runs
//
// A cancelled waiter keeps its place for that one iteration because CPython's do, and it shows: who
// releases a lock whose first waiter has just been cancelled wakes nobody; the cancelled one does
// it when it runs. With the same rule here, a program has the same order of events in both.
//
// A waiter that was woken and is cancelled before its turn has taken something with it: a permit, a
// notification, the news of an item. It finds the request when it runs, and whoever uses the queue
// gives what it has taken to the next, and then throws. That is why every wait ends with `leave`
// and a look at `cancelled()`, and it is the whole secret of losing no wake-up.
//
// `wake` makes the waiter's own node ready, not the task. What the node runs usually is the next
// step of the task; a wait with a condition (`Queue::get`, `Barrier::wait`) looks there first
// whether the condition holds by now, and if it does not, stays in line without the task having
// run.
//
// The queue may go while tasks wait in it, for that is how programs end: the main coroutine has a
// local queue, leaves it, and only then are the workers cancelled. Its waiters are detached: they
// know no queue any more, wait on, and leave when they are cancelled. Those in line are found in
// the line, those that were woken among the loop's tasks, so that being woken costs nothing for the
// sake of that rare case. A detached waiter that was woken is taken out of the ready queue again,
// unless what it waited for has happened all the same (an event was set), and nobody needs the
// queue to know. After a wait, whoever uses the queue asks `detached()` before touching it again;
// only a cancelled waiter can be.
//
// Thread-safety: loop thread only. A queue belongs to the first loop in which somebody waits.

#include <asyncio/internal/intrusive_list.h>
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
    /// Ends a wait. Every waiter calls this when it has its turn. True if it was woken, false if it
    /// was cancelled before that.
    bool leave() noexcept;

protected:
    QueuedWaiter() noexcept : Waiter(Queued()) { run = &run_task; }

    /// Suspends the task at `coroutine` until it is woken. Throws: RuntimeError outside a task, and
    /// if the queue belongs to another loop; it names `function`, which the program has called.
    template <class Promise>
    void wait_in(WaitQueue& queue, std::coroutine_handle<Promise> coroutine, const char* function);

    /// The queue is gone, so nothing that it belonged to may be touched.
    bool detached() const noexcept { return queue_ == nullptr; }

    /// At the end of a wait: whether a CancelledError is to be thrown.
    bool cancelled() { return state_ == State::cancelled || task().must_cancel(); }

    /// The end of a wait that gives nothing. Throws: CancelledError if it was interrupted.
    void finish(bool interrupted) {
        if (interrupted) [[unlikely]]
            task().throw_cancelled();
    }
    /// The same for those who pass a cancellation on as a value.
    Outcome<void> finish_quietly(bool interrupted) {
        Outcome<void> outcome;
        if (interrupted) {
            outcome.fail(task().take_cancellation());
        } else {
            outcome.emplace();
        }
        return outcome;
    }

    /// What the node runs when it is woken: the task goes on.
    static void run_task(Ready& node) noexcept {
        TaskCore& task = static_cast<QueuedWaiter&>(node).task();
        task.run(task);
    }

    /// Forgets the queue, which is about to go. True if the task waits on, for a cancellation;
    /// false if its turn is coming. `keeps_turn`: it was woken, and has what it waited for.
    bool detach(bool keeps_turn) noexcept;

    /// Leaves the line if it is not too late. For hooks: true if it was not.
    bool cancel_wait() noexcept;

private:
    friend WaitQueue;
    /// `served`: woken, and the queue has gone since.
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

class WaitQueue {
public:
    WaitQueue() noexcept = default;
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;
    ~WaitQueue() { assert(!in_use() && "whoever has the queue detaches its waiters"); }

    /// Whether a waiter knows this queue, also one that was cancelled and has not left yet.
    bool in_use() const noexcept {
        return present_ != 0 || !waiters_.empty() || !passed_over_.empty();
    }

    /// Whether a waiter that was woken has what it waited for although the queue goes.
    using KeepsTurn = bool (*)(QueuedWaiter& waiter) noexcept;

    /// To be called by the destructor of whatever has this queue, if it is in use: detaches all
    /// waiters. Returns how many wait on. Without `keeps_turn` no wake-up can be carried out.
    /// Cost: O(waiters), and O(tasks of the loop) if one was woken and has had no turn yet.
    std::size_t abandon(KeepsTurn keeps_turn = nullptr) noexcept;

    /// The same, and says so in debug mode. `what` with its article: "a lock".
    void abandon_and_warn(const char* what, KeepsTurn keeps_turn = nullptr) noexcept {
        if (in_use()) [[unlikely]]
            warn_of_waiters(what, abandon(keeps_turn));
    }
    /// In debug mode, if the loop runs and `waiters` are any: says that `what` left them behind.
    static void warn_of_waiters(const char* what, std::size_t waiters) noexcept;

    /// Whether somebody waits, or has been woken and had no turn yet: a newcomer has to queue then.
    bool occupied() const noexcept { return present_ != 0; }

    /// From now on the queue belongs to the running loop. Throws: RuntimeError if it belongs to
    /// another one. That one may be gone, and another have come to its address.
    void bind(const char* function) {
        if (loop_ == nullptr) bind_first();
        if (loop_number_ != here.loop->number()) [[unlikely]]
            refuse_loop(function);
    }

    /// In debug mode, once the queue belongs to a loop: throws RuntimeError if that loop runs on
    /// another thread at the moment. Otherwise it costs a look at a pointer.
    void check_thread() const {
        if (home_ != nullptr) [[unlikely]]
            home_->require_own_thread();
    }

    /// Gets in line, behind everybody. Throws as `bind`.
    void enter(QueuedWaiter& waiter, const char* function) {
        bind(function);
        waiter.cancellation_noted_ = false;
        wait_again(waiter);
    }
    /// The same for one that has waited here before.
    void wait_again(QueuedWaiter& waiter) noexcept {
        waiter.queue_ = this;
        waiter.state_ = State::waiting;
        waiters_.push_back(waiter);
        ++present_;
    }

    /// Wakes the first that still waits. False if nobody does.
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

    /// Wakes the one at the front, unless that one has been woken or cancelled and had no turn yet:
    /// then it will be its business who is next.
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

    void wake(QueuedWaiter& waiter) noexcept {
        waiter.state_ = State::woken;
        ++woken_;
        loop_->schedule(waiter);
    }
    [[gnu::cold]] void bind_first();
    [[noreturn, gnu::cold]] static void refuse_loop(const char* function);

    IntrusiveList<QueuedWaiter> waiters_;
    /// Cancelled ones that were at the front when somebody was woken, until they leave.
    IntrusiveList<QueuedWaiter> passed_over_;
    /// The loop of the first that waited; null until then.
    EventLoop* loop_ = nullptr;
    /// In debug mode, the gate of that loop, which may be gone.
    std::shared_ptr<LoopGate> home_;
    /// The number of that loop; 0 until then.
    std::uint32_t loop_number_ = 0;
    /// Waiting or woken, so without those that were cancelled while they waited.
    std::uint32_t present_ = 0;
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
