#include <asyncio/internal/queue_base.h>

#include <limits>
#include <stdexcept>

namespace asyncio::internal {

QueueBase::QueueBase(std::ptrdiff_t maxsize) noexcept
    : limit_(maxsize > 0 ? static_cast<std::size_t>(maxsize)
                         : std::numeric_limits<std::size_t>::max()),
      maxsize_(maxsize) {
    finished_.is_of_queue_ = true;
    finished_.set();
}

/// Who was woken to take an item, or to use the room, finds neither any more. Who waited in `join`
/// and was woken has learned what it wanted to know.
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

void QueueBase::refuse_empty() const {
    require_open();
    throw QueueEmpty();
}

}  // namespace asyncio::internal
