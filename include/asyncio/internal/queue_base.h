#pragma once
// What every queue is, whatever it holds and in whatever order: counts, and two lines of tasks,
// those that want an item and those that want room.
//
// A put wakes the first getter, a get wakes the first putter. What is woken has a claim on nothing:
// as in CPython, an item stays in the queue until somebody takes it, and a task that runs before
// the woken one may take it first. The woken one then finds the queue empty and waits again, at the
// end of the line. So a consumer that is running goes on through what is there without a turn of
// the loop for each item. The price is that a getter can be overtaken; the gain, besides, is that a
// cancellation can never lose an item: a woken getter that is cancelled has taken nothing yet, and
// only has to wake the next if there is something left for that one.
//
// Thread-safety: loop thread only.

#include <asyncio/event.h>
#include <asyncio/internal/wait_queue.h>

#include <cstddef>
#include <cstdint>

namespace asyncio {

struct QueueShutDownOptions {
    /// Drops what is in the queue, as if it had been got and done.
    bool immediate = false;
};

namespace internal {

/// Those who want an item, and those who want room.
enum class QueueLine : std::uint8_t { getters, putters };

template <QueueLine line>
class QueueLineWaiter;

class QueueBase {
public:
    QueueBase(const QueueBase&) = delete;
    QueueBase& operator=(const QueueBase&) = delete;

    /// How many items are in the queue.
    std::size_t qsize() noexcept { return size_; }
    bool empty() noexcept { return size_ == 0; }
    /// Whether a put has to wait; never for a queue without limit.
    bool full() noexcept { return size_ >= limit_; }
    /// How many items the queue holds at most, as it was given; zero or less: any number.
    std::ptrdiff_t maxsize() noexcept { return maxsize_; }

    /// Says that the work on one item that was got is done. Throws: `std::invalid_argument` if that
    /// is said more often than items were put.
    void task_done();

    /// Waits until the work on every item that was put is done, as counted by `task_done`.
    ///
    /// Cancellation: a cancellation point if it must wait; nothing has changed then.
    /// Python: `queue.join()`.
    EventWait join() noexcept { return finished_.wait(); }

protected:
    explicit QueueBase(std::ptrdiff_t maxsize) noexcept;
    ~QueueBase() {
        if (getters_.in_use() || putters_.in_use() || finished_.waiting_.in_use()) [[unlikely]]
            abandon();
    }

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
    /// Everybody who waits looks again. The items must be gone if they are to be dropped.
    void close(QueueShutDownOptions options) noexcept;

private:
    template <QueueLine line>
    friend class QueueLineWaiter;

    void abandon() noexcept;
    /// Whether there is no item for the getters, no room for the putters.
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
    /// `maxsize_`, or more than any queue can hold.
    std::size_t limit_;
    std::ptrdiff_t maxsize_;
    /// Items put whose `task_done` is still to come.
    std::size_t unfinished_ = 0;
    bool shut_down_ = false;
    /// Set while `unfinished_` is zero.
    Event finished_;
};

/// Waits until there is an item, or room, or will never be any.
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
    /// False if a CancelledError is to be thrown.
    bool end_wait() {
        if (!parked()) return true;
        const bool woken = leave();
        if (!cancelled()) [[likely]]
            return true;
        if (woken && !queue_.nothing_for(line)) queue_.waiting(line).wake_next();
        return false;
    }

private:
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
