#pragma once
// The base of every queue, whatever it holds and in whatever order: counts, and two lines of tasks,
// getters that want an item and putters that want room.
//
// A put wakes the first getter, a get wakes the first putter. A woken task has no claim on
// anything: as in CPython, an item stays in the queue until a task takes it, and a task that runs
// before the woken one may take it first. The woken one then finds the queue empty and waits again,
// at the end of the line.
//
// The reason is throughput: a consumer that is running takes one item after the other without an
// iteration of the loop for each. The price is that a getter can be overtaken. A second gain is
// that a cancellation can never lose an item: a woken getter that is cancelled has taken nothing
// yet. It only has to wake the next getter if there is an item left for that one.
//
// `ThreadQueue` does the opposite, and hands items over (`thread_queue.h`): its sides run at the
// same time on several threads, so a woken side would often find that another one was faster.
//
// Thread-safety: loop thread only.

#include <asyncio/event.h>
#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/sync/wait_queue.h>

#include <cstddef>
#include <cstdint>

namespace asyncio {

struct QueueShutDownOptions {
    /// Drops the items in the queue, as if they had been got and done.
    bool immediate = false;
};

namespace internal {

/// The tasks that want an item, and the tasks that want room.
enum class QueueLine : std::uint8_t { getters, putters };

template <QueueLine line>
class QueueLineWaiter;

class QueueBase {
public:
    QueueBase(const QueueBase&) = delete;
    QueueBase& operator=(const QueueBase&) = delete;

    /// How many items are in the queue.
    std::size_t qsize() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// Whether a put has to wait; never for a queue without limit.
    bool full() const noexcept { return size_ >= limit_; }
    /// How many items the queue holds at most, as it was given; zero or less: any number.
    std::ptrdiff_t maxsize() const noexcept { return maxsize_; }

    /// Notes that the work on one item that was taken is done. Throws: `std::invalid_argument` if
    /// it is called more often than items were put.
    void task_done();

    /// Waits until the work on every item that was put is done, as counted by `task_done`.
    ///
    /// Cancellation: a cancellation point if it must wait; nothing has changed then.
    /// Python: `queue.join()`.
    EventWait join() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return finished_.wait(); }

protected:
    explicit QueueBase(std::ptrdiff_t maxsize) noexcept;
    ~QueueBase() {
        if (getters_.in_use() || putters_.in_use() || finished_.waiting_.in_use()) [[unlikely]]
            abandon();
    }

    /// Wakes one getter, and not all: one item is there for one task.
    void item_added() noexcept {
        ++size_;
        ++unfinished_;
        finished_.clear();
        getters_.wake_next();
    }
    void item_removed() noexcept {
        --size_;
        putters_.wake_next();
    }
    /// In debug mode, throws RuntimeError on another thread than that of the queue's loop.
    void check_thread() const {
        getters_.check_thread();
        putters_.check_thread();
        finished_.waiting_.check_thread();
    }
    void require_open() const {
        getters_.check_thread();
        if (shut_down_) [[unlikely]]
            refuse_shut_down();
    }
    void require_room() const {
        require_open();
        if (size_ >= limit_) [[unlikely]]
            refuse_full();
    }
    void require_item() const {
        getters_.check_thread();
        if (size_ == 0) [[unlikely]]
            refuse_empty();
    }
    /// Lets every waiting task look again. Items that are to be dropped must be gone before.
    void close(QueueShutDownOptions options) noexcept;

private:
    template <QueueLine line>
    friend class QueueLineWaiter;

    void abandon() noexcept;
    /// Whether the queue has nothing to offer to this line: no item for getters, no room for
    /// putters.
    bool nothing_for(QueueLine line) const noexcept {
        return line == QueueLine::getters ? size_ == 0 : size_ >= limit_;
    }
    bool must_wait(QueueLine line) const noexcept { return nothing_for(line) && !shut_down_; }
    WaitQueue& waiting(QueueLine line) noexcept {
        return line == QueueLine::getters ? getters_ : putters_;
    }
    [[noreturn, gnu::cold]] static void refuse_shut_down();
    [[noreturn, gnu::cold]] static void refuse_full();
    [[noreturn, gnu::cold]] void refuse_empty() const;

    WaitQueue getters_;
    WaitQueue putters_;
    std::size_t size_ = 0;
    /// `maxsize_`, or for a queue without limit a number that no queue reaches: `full` is then one
    /// comparison without a special case.
    std::size_t limit_;
    std::ptrdiff_t maxsize_;
    /// Items that were put and whose `task_done` has not been called.
    std::size_t unfinished_ = 0;
    bool shut_down_ = false;
    /// Set while `unfinished_` is zero.
    Event finished_;
};

/// Waits until there is an item or room, or until there will never be any.
template <QueueLine line>
class QueueLineWaiter : public QueuedWaiter {
public:
    bool await_ready() const noexcept { return !queue_.must_wait(line); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(queue_.waiting(line), coroutine,
                line == QueueLine::getters ? "Queue::get() or next()" : "Queue::put()");
    }

protected:
    explicit QueueLineWaiter(QueueBase& queue) noexcept : queue_(queue) { run = &look_again; }
    /// The end of the wait. False if the caller has to throw CancelledError. A cancelled waiter
    /// that was woken passes the wake-up on, if there is something for the next one.
    bool end_wait() {
        if (!parked()) return true;
        const bool woken = leave();
        if (!cancelled()) [[likely]]
            return true;
        if (woken && !queue_.nothing_for(line)) queue_.waiting(line).wake_next();
        return false;
    }

private:
    /// Run when the waiter is woken: the task continues only if the queue has something for it.
    /// Otherwise the node goes to the end of the line, and the task has not run.
    static void look_again(Ready& node) noexcept {
        auto& self = static_cast<QueueLineWaiter&>(node);
        if (!self.queue_.must_wait(line) || self.cancelled()) return run_task(node);
        self.leave();
        self.queue_.waiting(line).wait_again(self);
    }

    QueueBase& queue_;
};

using QueueGetWaiter = QueueLineWaiter<QueueLine::getters>;
using QueuePutWaiter = QueueLineWaiter<QueueLine::putters>;

}  // namespace internal
}  // namespace asyncio
