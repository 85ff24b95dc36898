// The rare parts of a line of waiters: its first use in a loop, and its end while tasks still wait
// in it. `wait_queue.h` describes the usual way.
//
// A queue may be destroyed before its waiters, since programs end that way: the main coroutine
// leaves a local queue, and the workers that wait in it are cancelled afterwards. Each waiter is
// then detached, so that it does not touch the queue again. The state of the waiter decides about
// its wait:
//   waiting    it waits on, in no line, until it is cancelled
//   woken      it is taken out of the ready queue and waits on: what it was woken for no longer
//              exists. It keeps its turn if the queue's owner says that it has what it waited
//              for, or if a request to cancel was made
//   cancelled  it leaves the line; its task is ready already
// Waiters in the line are found there. Waiters that were woken are in no list of the queue, and are
// searched among the tasks of the loop. A list of them would need a second pair of links in each
// waiter, and stores at every wake-up, for a case that is rare.

#include <asyncio/internal/sync/wait_queue.h>

#include "base/log.h"

#include <string>

namespace asyncio::internal {

/// The loop is noted by address and by number: a queue may live longer than its loop.
void WaitQueue::bind_first() {
    loop_ = here.loop;
    loop_number_ = loop_->number();
    if (loop_->get_debug()) home_ = loop_->gate();
}

void WaitQueue::refuse_loop(const char* function) {
    throw RuntimeError(std::string(function) +
                       " must be awaited in the event loop in which it was awaited first");
}

/// Returns true if the task waits on. The counts of the queue are corrected, because its destructor
/// checks them.
bool QueuedWaiter::detach(bool keeps_turn) noexcept {
    WaitQueue* const queue = std::exchange(queue_, nullptr);
    if (state_ == State::cancelled) {
        if (linked()) unlink();
        return false;
    }
    const bool was_woken = state_ == State::woken;
    --queue->present_;
    if (was_woken) --queue->woken_;
    // A request that came after the wake-up is kept by the task, which has to run to find it. Its
    // turn may not look at the queue first, so the node runs the task directly.
    const bool is_cancelled = was_woken && task().must_cancel();
    if (keeps_turn || is_cancelled || cancellation_noted_) {
        state_ = is_cancelled ? State::cancelled : State::served;
        run = &run_task;
        if (was_woken) return false;
        unlink();
        queue->loop_->schedule(*this);
        return false;
    }
    unlink();  // from the line, or from the loop's ready queue
    state_ = State::waiting;
    return true;
}

std::size_t WaitQueue::abandon(KeepsTurn keeps_turn) noexcept {
    std::size_t waiting = 0;
    while (!passed_over_.empty()) passed_over_.front().detach(false);
    while (!waiters_.empty()) waiting += waiters_.front().detach(false);
    if (woken_ == 0) return waiting;
    loop_->residents().for_each([&](Resident& resident) {
        lowlevel::Waiter* const parked = static_cast<TaskCore&>(resident).parked();
        if (parked == nullptr || !parked->queued_) return;
        auto& waiter = static_cast<QueuedWaiter&>(*parked);
        if (waiter.queue_ != this) return;
        waiting += waiter.detach(keeps_turn != nullptr && keeps_turn(waiter));
    });
    return waiting;
}

/// Outside a loop there is no way to ask for debug mode: the loop may be gone as well.
void WaitQueue::warn_of_waiters(const char* what, std::size_t waiters) noexcept {
    if (waiters == 0 || here.loop == nullptr || !here.loop->get_debug()) return;
    log(LogLevel::warning, what, [=] {
        return std::string(what) + " was destroyed while " + std::to_string(waiters) +
               (waiters == 1 ? " task waited in it" : " tasks waited in it");
    });
}

}  // namespace asyncio::internal
