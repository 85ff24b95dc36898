#pragma once
// `ThreadQueue<T>`: a queue with a loop at one end and threads at the other, or any mixture.
//
// A task awaits `get()` and `put()`; a thread without a loop calls `get_blocking()` and
// `put_blocking()`. All of them stand in one line, first come, first served.
//
// An item is handed over, not announced: whoever puts gives it to the one who has waited longest,
// and whoever takes the first of a full queue lets the item of the longest waiting putter in. So
// nobody who was woken finds that another came first, and a place is in one of three states:
//   waiting   in the line; its owner may leave it (a cancellation, a time limit), without effect
//   served    off the line, the item has changed hands; its owner can no longer leave without it
//   refused   off the line because the queue was shut down
// A place that has left `waiting` is woken exactly once, and lives until then. That is what makes
// cancellation safe: it either finds `waiting`, and nothing has happened, or it is too late, and
// the await returns what it got.
//
// Thread-safety: all functions, any thread; those to be awaited, in tasks.

#include <asyncio/exceptions.h>
#include <asyncio/internal/intrusive_list.h>
#include <asyncio/internal/loop_threads.h>
#include <asyncio/internal/thread_event.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/waiter.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace asyncio {
namespace internal {

/// Somebody who waits, in a task or on a thread.
struct QueuePlace : ListNode {
    enum class State : std::uint8_t { waiting, served, refused };

    /// Of a getter, where the item goes: a `std::optional<T>`. Of a putter, the `T` to be taken.
    void* item = nullptr;
    void (*wake)(QueuePlace&) noexcept = nullptr;
    /// Under the queue's mutex until it has been woken.
    State state = State::waiting;
    /// A task can wait on without the queue; it is cancelled one day. A thread cannot.
    bool is_task = false;
};

/// The lines of a queue, and what guards them. A task that waits keeps them, so that it can leave
/// its line after the queue has gone: the owner of a queue often ends first, and the tasks that
/// wait in the queue are cancelled later.
struct ThreadQueueLines {
    using Line = IntrusiveList<QueuePlace>;

    /// Takes a place out of its line. False if it has been served or refused: then it will be
    /// woken.
    bool leave(QueuePlace& place) noexcept;

    std::mutex mutex;
    Line getters;
    Line putters;
    bool is_shut_down = false;
};

/// The place of a thread.
struct ThreadPlace : QueuePlace {
    ThreadPlace(std::shared_ptr<ThreadQueueLines> of_queue, void* of_item) noexcept
        : lines(std::move(of_queue)) {
        item = of_item;
        wake = [](QueuePlace& place) noexcept { static_cast<ThreadPlace&>(place).event.set(); };
    }
    ThreadEvent event;
    const std::shared_ptr<ThreadQueueLines> lines;
};

class ThreadQueueBase {
public:
    using Line = ThreadQueueLines::Line;

    ThreadQueueBase(const ThreadQueueBase&) = delete;
    ThreadQueueBase& operator=(const ThreadQueueBase&) = delete;

    /// At most so many items; zero: without limit.
    std::size_t maxsize() const noexcept { return maxsize_; }

    /// From now on nothing can be put into the queue: putting throws QueueShutDown, also in those
    /// who wait for room. What is in it can still be got; then getting throws QueueShutDown, at
    /// once in those who wait.
    /// Python: `queue.shutdown()`.
    void shutdown();

    /// What a waiter keeps.
    const std::shared_ptr<ThreadQueueLines>& lines() const noexcept { return lines_; }

protected:
    explicit ThreadQueueBase(std::size_t maxsize) : maxsize_(maxsize) {}
    /// Threads that wait are refused, as at a shutdown. Tasks wait on until they are cancelled.
    ~ThreadQueueBase();

    /// On a thread without the mutex: until the place is woken or the deadline has passed. True if
    /// it was served; false after the deadline. Throws: QueueShutDown.
    static bool wait_blocking(ThreadPlace& place, TimePoint deadline);
    /// The same; false also if it was refused.
    static bool wait_blocking_quietly(ThreadPlace& place, TimePoint deadline) noexcept;
    /// Takes the first off the line. With the mutex held.
    static QueuePlace& serve_first(Line& line) noexcept;

    const std::size_t maxsize_;
    const std::shared_ptr<ThreadQueueLines> lines_ = std::make_shared<ThreadQueueLines>();
};

/// A task that waits in a line.
class QueueWaiter : public lowlevel::Waiter {
protected:
    template <class Promise>
    void wait(std::coroutine_handle<Promise> coroutine) {
        waits_ = true;
        task().loop().expect_wakes(1);
        park(coroutine, &abort);
    }
    /// To be called on resumption. Throws: CancelledError, QueueShutDown.
    void end_wait();
    /// Throws: CancelledError.
    void end_wait_quietly();

    struct TaskPlace : QueuePlace {
        TaskPlace() noexcept { is_task = true; }
        TaskCore* task = nullptr;
        std::shared_ptr<LoopGate> gate;
    };
    /// Prepares the place for a line of `queue`.
    TaskPlace& place_for(const ThreadQueueBase& queue, void* item);

private:
    static Abort abort(lowlevel::Waiter& waiter, std::string_view message) noexcept;

    std::shared_ptr<ThreadQueueLines> lines_;
    TaskPlace place_;
    bool waits_ = false;
};

}  // namespace internal

/// A queue between threads and loops.
///
/// `T` must be movable without throwing.
/// Lifetime: the queue may go while tasks and threads wait in it. A task waits on until it is
/// cancelled, as in a `Queue`; a thread gets QueueShutDown. No call may begin, or have anything but
/// the wait before it, when the queue goes.
/// Python: `queue.Queue` and `asyncio.Queue` in one; the library `janus` joins the two.
template <class T>
class ThreadQueue : public internal::ThreadQueueBase {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "an item changes hands where no error can be told to anybody");
    using Place = internal::QueuePlace;

    class GetAwaiter final : public internal::QueueWaiter {
    public:
        explicit GetAwaiter(ThreadQueue& queue) noexcept : queue_(queue) {}
        bool await_ready() { return queue_.take(item_, nullptr); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> coroutine) {
            if (queue_.take(item_, &this->place_for(queue_, &item_))) return false;
            this->wait(coroutine);
            return true;
        }
        T await_resume() {
            this->end_wait();
            return std::move(*item_);
        }

    private:
        ThreadQueue& queue_;
        std::optional<T> item_;
    };

    /// Its exception for the end would cost two microseconds, and is what most wait for.
    class NextAwaiter final : public internal::QueueWaiter {
    public:
        explicit NextAwaiter(ThreadQueue& queue) noexcept : queue_(queue) {}
        bool await_ready() { return queue_.take_or_end(item_, nullptr); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> coroutine) {
            if (queue_.take_or_end(item_, &this->place_for(queue_, &item_))) return false;
            this->wait(coroutine);
            return true;
        }
        std::optional<T> await_resume() {
            this->end_wait_quietly();
            return std::move(item_);
        }

    private:
        ThreadQueue& queue_;
        std::optional<T> item_;
    };

    class PutAwaiter final : public internal::QueueWaiter {
    public:
        PutAwaiter(ThreadQueue& queue, T& item) noexcept : queue_(queue), item_(item) {}
        bool await_ready() { return queue_.give(item_, nullptr); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> coroutine) {
            if (queue_.give(item_, &this->place_for(queue_, &item_))) return false;
            this->wait(coroutine);
            return true;
        }
        void await_resume() { this->end_wait(); }

    private:
        ThreadQueue& queue_;
        T& item_;
    };

    using Get = lowlevel::Awaiting<GetAwaiter, ThreadQueue&>;
    using Next = lowlevel::Awaiting<NextAwaiter, ThreadQueue&>;

    class [[nodiscard]] Put {
    public:
        Put(ThreadQueue& queue, T&& item) noexcept : queue_(queue), item_(std::move(item)) {}
        auto operator co_await() && noexcept { return PutAwaiter(queue_, item_); }

    private:
        ThreadQueue& queue_;
        T item_;
    };

public:
    using value_type = T;

    /// At most `maxsize` items; zero: without limit.
    explicit ThreadQueue(std::size_t maxsize = 0) : ThreadQueueBase(maxsize) {}

    // In a task.

    /// Waits until there is an item, and takes it.
    /// Throws: QueueShutDown when the queue was shut down and is empty.
    /// Cancellation: a cancellation point if it must wait; nothing has left the queue then. If an
    /// item was handed over in the same moment it is returned, and the request stays pending.
    Get get() noexcept { return Get(*this); }

    /// As `get`, but the end of the queue is a value: nothing when it was shut down and is empty.
    /// `while (auto item = co_await queue.next())` takes all there is and will be.
    Next next() noexcept { return Next(*this); }

    /// Waits until there is room, and puts `item` in. Throws: QueueShutDown.
    /// Cancellation: as `get`; the item is not in the queue then, and is destroyed.
    Put put(T item) noexcept { return {*this, std::move(item)}; }

    // On a thread without a loop.

    /// Blocks the thread until there is an item, and takes it. Throws: QueueShutDown.
    T get_blocking() { return *get_blocking_until(internal::never); }
    /// The same for at most `limit`; nothing if none has come by then.
    std::optional<T> get_blocking_for(Delay limit) {
        return get_blocking_until(internal::add_saturating(Clock::now(), limit));
    }

    /// As `get_blocking`, but the end of the queue is a value, as `next`'s.
    std::optional<T> next_blocking() {
        std::optional<T> item;
        internal::ThreadPlace place(lines_, &item);
        if (!take_or_end(item, &place)) wait_blocking_quietly(place, internal::never);
        return item;
    }

    /// Blocks the thread until there is room, and puts `item` in. Throws: QueueShutDown.
    void put_blocking(T item) { put_blocking_until(item, internal::never); }
    /// The same for at most `limit`. False, and `item` is as it was, if there was no room by then.
    bool put_blocking_for(T&& item, Delay limit) {
        return put_blocking_until(item, internal::add_saturating(Clock::now(), limit));
    }

    // Anywhere.

    /// Takes an item if there is one. Throws: QueueShutDown if there will never be one.
    std::optional<T> try_get() {
        std::optional<T> item;
        take(item, nullptr);
        return item;
    }
    /// Puts `item` in if there is room; false, and `item` is as it was, if there is none.
    /// Throws: QueueShutDown.
    bool try_put(T&& item) { return give(item, nullptr); }

    /// What may have changed when the caller looks at it.
    std::size_t qsize() const {
        const std::lock_guard lock(lines_->mutex);
        return items_.size();
    }
    bool empty() const { return qsize() == 0; }
    bool full() const { return maxsize_ != 0 && qsize() >= maxsize_; }

private:
    /// Takes an item, or stands in the line at `place` if one is given. Whether there was an item.
    bool take(std::optional<T>& item, Place* place) {
        const bool is_over = take_or_end(item, place);
        if (is_over && !item) throw QueueShutDown();
        return is_over;
    }

    /// The same; true, and no item, if there will never be one.
    bool take_or_end(std::optional<T>& item, Place* place) {
        Place* served = nullptr;
        {
            const std::lock_guard lock(lines_->mutex);
            if (items_.empty()) {
                if (!lines_->is_shut_down && place != nullptr) lines_->getters.push_back(*place);
                return lines_->is_shut_down;
            }
            // First what may fail: without memory for the item of who waits, nothing has changed.
            if (!lines_->putters.empty())
                items_.push_back(std::move(*static_cast<T*>(lines_->putters.front().item)));
            if (!lines_->putters.empty()) served = &serve_first(lines_->putters);
            item.emplace(std::move(items_.front()));
            items_.pop_front();
        }
        if (served != nullptr) served->wake(*served);
        return true;
    }

    bool give(T& item, Place* place) {
        Place* served = nullptr;
        {
            const std::lock_guard lock(lines_->mutex);
            if (lines_->is_shut_down) throw QueueShutDown();
            if (!lines_->getters.empty()) {
                served = &serve_first(lines_->getters);
                static_cast<std::optional<T>*>(served->item)->emplace(std::move(item));
            } else if (maxsize_ == 0 || items_.size() < maxsize_) {
                items_.push_back(std::move(item));
            } else {
                if (place != nullptr) lines_->putters.push_back(*place);
                return false;
            }
        }
        if (served != nullptr) served->wake(*served);
        return true;
    }

    std::optional<T> get_blocking_until(TimePoint deadline) {
        std::optional<T> item;
        internal::ThreadPlace place(lines_, &item);
        if (!take(item, &place)) wait_blocking(place, deadline);
        return item;
    }

    bool put_blocking_until(T& item, TimePoint deadline) {
        internal::ThreadPlace place(lines_, &item);
        return give(item, &place) || wait_blocking(place, deadline);
    }

    std::deque<T> items_;
};

}  // namespace asyncio
