// The parts of a queue between threads and loops that do not depend on the type of the items.
// `thread_queue.h` has the rules: an item is handed over directly, and a place is waiting, served
// or refused.
//
// Locks and wake-ups. The mutex guards the items, both lines, and the state of every place in them.
// A wake-up happens after the mutex has been released: it may make a system call, and the woken
// side would otherwise run into the held mutex. In between, the place is in no line and its state
// is no longer `waiting`, so its owner cannot leave, and must wait for the wake-up. Therefore the
// place lives until then. After the wake-up it may be gone at any moment, so nothing touches it any
// more.
//
// The two kinds of owners wait differently. A thread sleeps on an event in its place, with a
// deadline. A task is parked; its wake-up is a post to its loop, or the ready queue if the caller
// runs that loop. In both cases the item has changed hands before the wake-up, so no owner that is
// woken finds an empty queue.
//
// A cancellation or a deadline is a race with the side that serves the place. `leave` decides it
// under the mutex. If it comes too late, the item has been handed over and must not be lost. A
// thread then waits for the event, which is about to be set. A task keeps the request for its next
// wait.
//
// The end of a queue. Threads that wait are refused, because nothing else would ever wake them.
// Tasks wait on: the program cancels them later, and they leave the line through the lists
// (`ThreadQueueLines`), which they share with the queue.

#include <asyncio/thread_queue.h>

namespace asyncio::internal {

using State = QueueEntry::State;

/// All places change their state under the mutex, so no `leave` can come in between; the wake-ups
/// follow without it.
void ThreadQueueBase::shutdown() {
    Line refused;
    {
        const std::lock_guard lock(lines_->mutex);
        lines_->is_shut_down = true;
        refused.append(lines_->getters);
        refused.append(lines_->putters);
        refused.for_each([](QueueEntry& entry) { entry.state = State::refused; });
    }
    while (!refused.empty()) {
        QueueEntry& entry = refused.pop_front();
        entry.wake(entry);
    }
}

namespace {

/// Moves the places of threads from `line` to `threads`.
void take_threads(ThreadQueueBase::Line& line, ThreadQueueBase::Line& threads) noexcept {
    line.for_each([&](QueueEntry& entry) {
        if (entry.is_task) return;
        entry.unlink();
        entry.state = State::refused;
        threads.push_back(entry);
    });
}

}  // namespace

/// As `shutdown`, for threads only. The places of tasks stay in their lines, which live on with the
/// tasks.
ThreadQueueBase::~ThreadQueueBase() {
    Line refused;
    {
        const std::lock_guard lock(lines_->mutex);
        take_threads(lines_->getters, refused);
        take_threads(lines_->putters, refused);
    }
    while (!refused.empty()) {
        QueueEntry& entry = refused.pop_front();
        entry.wake(entry);
    }
}

/// The state alone decides. A place that was refused by a shutdown may still be linked in the local
/// list of that function.
bool ThreadQueueLines::leave(QueueEntry& entry) noexcept {
    const std::lock_guard lock(mutex);
    if (entry.state != State::waiting) return false;
    entry.unlink();
    return true;
}

/// The caller holds the mutex and has moved the item, or does so before it releases the mutex. The
/// wake-up is left to the caller too, because it must come after that.
QueueEntry& ThreadQueueBase::serve_first(Line& line) noexcept {
    QueueEntry& entry = line.pop_front();
    entry.state = State::served;
    return entry;
}

/// A deadline that passes in the moment of the service loses: `leave` fails, and the item is
/// returned although it is late.
bool ThreadQueueBase::wait_blocking_quietly(ThreadEntry& entry, TimePoint deadline) noexcept {
    if (!entry.event.wait_until(deadline)) {
        if (entry.lines->leave(entry)) return false;
        // The side that has served or refused it is about to set the event, and touches the place
        // until then.
        entry.event.wait();
    }
    return entry.state == State::served;
}

/// The state is read without the mutex: after the wake-up, or after `leave`, the place belongs to
/// this thread alone.
bool ThreadQueueBase::wait_blocking(ThreadEntry& entry, TimePoint deadline) {
    const bool served = wait_blocking_quietly(entry, deadline);
    if (entry.state == State::refused) throw QueueShutDown();
    return served;
}

/// Prepares everything that the wake-up needs before the place enters a line: from then on another
/// thread may serve it at any moment.
QueueWaiter::TaskEntry& QueueWaiter::entry_for(const ThreadQueueBase& queue, void* item) {
    lines_ = queue.lines();
    entry_.item = item;
    entry_.task = &task("ThreadQueue::get(), next() or put()");
    entry_.wake = [](QueueEntry& entry) noexcept {
        auto& own = static_cast<TaskEntry&>(entry);
        TaskCore& task = *own.task;
        if (here.loop == &task.loop()) return task.loop().schedule(task);
        // Once the task has its turn, the place may be gone, and the loop as well. The gate keeps
        // the loop from closing in the middle of a post, and the local copy keeps the gate.
        const std::shared_ptr<LoopGate> gate = own.gate;
        gate->post(task);
    };
    entry_.gate = task().loop().gate();
    return entry_;
}

/// The item has changed hands, or the queue was shut down: both are effects, so a request that came
/// too late stays with the task.
void QueueWaiter::end_wait_quietly() {
    if (!waits_) return;
    task().loop().expect_wakes(-1);
    resumed_with_effect();
}

/// As `end_wait_quietly`, for operations to which the end of the queue is an error.
void QueueWaiter::end_wait() {
    end_wait_quietly();
    if (entry_.state == State::refused) throw QueueShutDown();
}

/// `removed` only if the place was still in its line. Otherwise a wake-up with an item is on its
/// way.
lowlevel::Waiter::Abort QueueWaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
    auto& self = static_cast<QueueWaiter&>(waiter);
    return self.lines_->leave(self.entry_) ? Abort::removed : Abort::too_late;
}

}  // namespace asyncio::internal
