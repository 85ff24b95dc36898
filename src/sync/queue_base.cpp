// The parts of a queue that are not on the path of an item: counting what is done, the shutdown,
// and the end of a queue that tasks wait in. How items and tasks meet is in
// `internal/sync/queue_base.h`.
//
// A shutdown wakes all tasks in both lines, and each looks again at its turn. A getter that still
// finds an item takes it; a getter or putter that finds none and no room throws QueueShutDown. So
// nothing is decided here about single waiters, as in CPython.

#include <asyncio/internal/sync/queue_base.h>

#include <limits>
#include <stdexcept>

namespace asyncio::internal {

/// An empty queue has no unfinished work, so `join` does not wait. The event is marked as the
/// queue's, so that the queue reports tasks left in `join` together with the others.
QueueBase::QueueBase(std::ptrdiff_t maxsize) noexcept
    : limit_(maxsize > 0 ? static_cast<std::size_t>(maxsize)
                         : std::numeric_limits<std::size_t>::max()),
      maxsize_(maxsize) {
    finished_.is_of_queue_ = true;
    finished_.set();
}

/// The queue is being destroyed. A task that was woken to take an item, or to use the room, finds
/// neither any more, so it waits on. A task that was woken in `join` has got its answer, and ends
/// its wait.
void QueueBase::abandon() noexcept {
    const std::size_t waiting =
        getters_.abandon() + putters_.abandon() + finished_.waiting_.abandon(&Event::keeps_turn);
    WaitQueue::warn_of_waiters("a queue", waiting);
}

void QueueBase::task_done() {
    check_thread();
    if (unfinished_ == 0)
        throw std::invalid_argument("task_done was called more often than items were put");
    if (--unfinished_ == 0) finished_.set();
}

/// With `immediate` the items are gone, and count as done, so that `join` ends. Items that were got
/// and are in work stay unfinished, as in Python. The subtraction must not go below zero: a program
/// may have called `task_done` for items that it never took.
void QueueBase::close(QueueShutDownOptions options) noexcept {
    shut_down_ = true;
    if (options.immediate) {
        unfinished_ -= size_ < unfinished_ ? size_ : unfinished_;
        size_ = 0;
        if (unfinished_ == 0) finished_.set();
    }
    getters_.wake_all();
    putters_.wake_all();
}

void QueueBase::refuse_shut_down() { throw QueueShutDown(); }

void QueueBase::refuse_full() { throw QueueFull(); }

/// A queue that was shut down and is empty throws QueueShutDown, and not QueueEmpty: no item will
/// ever come.
void QueueBase::refuse_empty() const {
    require_open();
    throw QueueEmpty();
}

}  // namespace asyncio::internal
