#pragma once
// `ThreadQueue<T>`: a queue between threads and loops. Tasks and threads may stand at either end,
// in any mixture.
//
// A task awaits `get()` and `put()`. A thread without a loop calls `get_blocking()` and
// `put_blocking()`. All of them stand in one line for items and one line for room, in the order in
// which they came.
//
// An item is handed over, not announced. A putter gives its item directly to the getter that has
// waited longest. A getter that takes the first item of a full queue lets the item of the longest
// waiting putter in. So a waiter that was woken has what it waited for. (`asyncio::Queue` does the
// opposite: it wakes a getter, and the getter looks again. There a running task may take the item
// first, which is cheap inside one loop. Across threads a wake-up may cost a system call, so a
// wake-up for nothing is expensive.)
//
// A waiter's place in a line is in one of three states:
//   waiting   in the line. Its owner may leave it (a cancellation, a time limit), without effect.
//   served    off the line; the item has changed hands. Its owner can no longer leave without it.
//   refused   off the line, because the queue was shut down.
// A place that has left `waiting` is woken exactly once, and lives until then. This is what makes a
// cancellation safe. It either finds the state `waiting`, and nothing has happened; or it comes too
// late, and the await returns what it got. The state changes under the mutex, so these two are the
// only cases.
//
// Waking happens outside the mutex, and is the last access to a place: its owner may continue at
// that moment, and destroy the place. A task is woken through the gate of its loop
// (`internal/loop/loop_gate.h`), since the loop may close while another thread serves the task. A
// thread is woken through a `ThreadEvent`, which its owner may destroy as soon as it is set.
//
// Lifetime of the lines. The queue is often a local variable of the main coroutine, which ends
// before the worker tasks are cancelled. So the lines and their mutex lie in an object of their own
// (`ThreadQueueLines`), which every waiter keeps alive. A task that waits in a queue that is gone
// leaves its line when it is cancelled. A thread cannot be cancelled, so the destructor of the
// queue refuses the threads.
//
// A mutex, not a lock-free list: handing an item over changes a line, an item and the list of items
// together, and a consumer that finds nothing has to sleep in any case. The mutex is held for a few
// moves, never during a wake-up.
//
// Thread-safety: all functions, any thread; the functions that are awaited, in tasks.

#include <asyncio/exceptions.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/base/thread_event.h>
#include <asyncio/internal/executors/loop_threads.h>
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

/// The place of a waiter in a line: of a task or of a thread.
struct QueueEntry : ListNode {
    enum class State : std::uint8_t { waiting, served, refused };

    /// For a getter, where the item goes: a `std::optional<T>`. For a putter, the `T` that is
    /// taken. A `void*`, so that the lines do not depend on T.
    void* item = nullptr;
    /// Wakes the owner. Called once, without the mutex; the place may be gone when it returns.
    void (*wake)(QueueEntry&) noexcept = nullptr;
    /// Guarded by the queue's mutex until the place is woken. After that its owner reads it without
    /// the mutex.
    State state = State::waiting;
    /// Whether a task waits here. A task can wait on without the queue, because it can be
    /// cancelled. A thread cannot.
    bool is_task = false;
};

/// The two lines of a queue, and the mutex that guards them. Every waiter keeps this object alive:
/// see "Lifetime of the lines" above.
struct ThreadQueueLines {
    using Line = IntrusiveList<QueueEntry>;

    /// Takes a place out of its line. False if the place has been served or refused: then it will
    /// be woken, or has been.
    bool leave(QueueEntry& entry) noexcept;

    std::mutex mutex;
    Line getters;
    Line putters;
    bool is_shut_down = false;
};

/// The place of a thread that blocks.
struct ThreadEntry : QueueEntry {
    ThreadEntry(std::shared_ptr<ThreadQueueLines> of_queue, void* of_item) noexcept
        : lines(std::move(of_queue)) {
        item = of_item;
        wake = [](QueueEntry& entry) noexcept { static_cast<ThreadEntry&>(entry).event.set(); };
    }
    ThreadEvent event;
    const std::shared_ptr<ThreadQueueLines> lines;
};

/// The part of a queue that does not depend on the type of the items.
class ThreadQueueBase {
public:
    using Line = ThreadQueueLines::Line;

    ThreadQueueBase(const ThreadQueueBase&) = delete;
    ThreadQueueBase& operator=(const ThreadQueueBase&) = delete;

    /// The largest number of items in the queue; zero means no limit.
    std::size_t maxsize() const noexcept { return maxsize_; }

    /// Closes the queue for new items. From then on `put` throws QueueShutDown, and so does every
    /// `put` that is waiting for room. The items in the queue can still be taken. When the queue is
    /// empty, `get` throws QueueShutDown, and so does every `get` that is waiting.
    /// Python: `queue.shutdown()`.
    void shutdown();

    /// The object that a waiter keeps alive.
    const std::shared_ptr<ThreadQueueLines>& lines() const noexcept { return lines_; }

protected:
    explicit ThreadQueueBase(std::size_t maxsize) : maxsize_(maxsize) {}
    /// Refuses the threads that wait, as at a shutdown. Tasks wait on until they are cancelled.
    ~ThreadQueueBase();

    /// Blocks the calling thread, which must not hold the mutex, until the place is woken or the
    /// deadline has passed. True if the place was served; false after the deadline. Throws:
    /// QueueShutDown.
    static bool wait_blocking(ThreadEntry& entry, TimePoint deadline);
    /// The same without the exception: false also if the place was refused.
    static bool wait_blocking_quietly(ThreadEntry& entry, TimePoint deadline) noexcept;
    /// Takes the first place off the line and marks it as served. The caller holds the mutex, and
    /// wakes the place when it has released it.
    static QueueEntry& serve_first(Line& line) noexcept;

    const std::size_t maxsize_;
    const std::shared_ptr<ThreadQueueLines> lines_ = std::make_shared<ThreadQueueLines>();
};

/// The awaiter of a task that waits in a line.
class QueueWaiter : public lowlevel::Waiter {
protected:
    template <class Promise>
    void wait(std::coroutine_handle<Promise> coroutine) {
        waits_ = true;
        task().loop().expect_wakes(1);
        park(coroutine, &abort);
    }
    /// The first call on resumption. A request to cancel that came after the place was served stays
    /// pending, so the item is not lost. Throws: CancelledError, QueueShutDown.
    void end_wait();
    /// Throws: CancelledError.
    void end_wait_quietly();

    struct TaskEntry : QueueEntry {
        TaskEntry() noexcept { is_task = true; }
        TaskCore* task = nullptr;
        std::shared_ptr<LoopGate> gate;
    };
    /// Prepares the place for a line of `queue`. The place keeps the gate of the task's loop, not
    /// the loop: another thread may use the place while the loop closes.
    TaskEntry& entry_for(const ThreadQueueBase& queue, void* item);

private:
    static Abort abort(lowlevel::Waiter& waiter, std::string_view message) noexcept;

    std::shared_ptr<ThreadQueueLines> lines_;
    TaskEntry entry_;
    bool waits_ = false;
};

}  // namespace internal

/// A queue between threads and loops, first in, first out.
///
/// `T` must be movable without throwing, since an item changes hands inside the call of another
/// thread.
/// Lifetime: the queue may be destroyed while tasks and threads wait in it. A task then waits on
/// until it is cancelled, as in a `Queue`. A thread gets QueueShutDown. No other call may be in
/// progress, and none may begin, when the destruction begins.
/// Python: `queue.Queue` and `asyncio.Queue` in one; the library `janus` joins the two.
template <class T>
class ThreadQueue : public internal::ThreadQueueBase {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "the type of the items must be nothrow move constructible: the queue cannot "
                  "report an error while it passes an item on");
    using Entry = internal::QueueEntry;

    /// The awaiter of `get`. Each awaiter tries twice. `await_ready` tries without a place, so an
    /// item that is there costs no set-up. `await_suspend` tries again, because another thread may
    /// have put an item in between, and enters the line under the same lock.
    class GetAwaiter final : public internal::QueueWaiter {
    public:
        explicit GetAwaiter(ThreadQueue& queue) noexcept : queue_(queue) {}
        bool await_ready() { return queue_.take(item_, nullptr); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> coroutine) {
            if (queue_.take(item_, &this->entry_for(queue_, &item_))) return false;
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

    /// The awaiter of `next`. The end of the queue is a value here: an exception costs two
    /// microseconds, and most consumers wait for the end.
    class NextAwaiter final : public internal::QueueWaiter {
    public:
        explicit NextAwaiter(ThreadQueue& queue) noexcept : queue_(queue) {}
        bool await_ready() { return queue_.take_or_end(item_, nullptr); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> coroutine) {
            if (queue_.take_or_end(item_, &this->entry_for(queue_, &item_))) return false;
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

    /// The awaiter of `put`. The item lies in what `put` returned, in the frame of the caller,
    /// until it is taken.
    class PutAwaiter final : public internal::QueueWaiter {
    public:
        PutAwaiter(ThreadQueue& queue, T& item) noexcept : queue_(queue), item_(item) {}
        bool await_ready() { return queue_.give(item_, nullptr); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> coroutine) {
            if (queue_.give(item_, &this->entry_for(queue_, &item_))) return false;
            this->wait(coroutine);
            return true;
        }
        void await_resume() { this->end_wait(); }

    private:
        ThreadQueue& queue_;
        T& item_;
    };

    // The return types of `get`, `next` and `put`: small values that make their awaiter in the
    // frame of the coroutine that awaits them. `Put` is a class of its own, because it also holds
    // the item.
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

    /// A queue for at most `maxsize` items; zero means no limit.
    explicit ThreadQueue(std::size_t maxsize = 0) : ThreadQueueBase(maxsize) {}

    // For tasks.

    /// Waits until there is an item, and takes it.
    /// Throws: QueueShutDown when the queue was shut down and is empty.
    /// Cancellation: a cancellation point if it must wait; no item has left the queue then. If an
    /// item was handed over before the request, the item is returned and the request stays pending.
    Get get() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return Get(*this); }

    /// As `get`, but the end of the queue is a value: an empty optional when the queue was shut
    /// down and is empty. `while (auto item = co_await queue.next())` takes every item until then.
    Next next() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND { return Next(*this); }

    /// Waits until there is room, and puts `item` into the queue. Throws: QueueShutDown.
    /// Cancellation: as `get`. When cancelled, the item is not in the queue, and is destroyed.
    Put put(T item) noexcept { return {*this, std::move(item)}; }

    // For threads that run no loop.

    /// Blocks the thread until there is an item, and takes it. Throws: QueueShutDown.
    T get_blocking() { return *get_blocking_until(internal::never); }
    /// The same for at most `limit`. Returns an empty optional if no item has come by then.
    std::optional<T> get_blocking_for(Delay limit) {
        return get_blocking_until(internal::add_saturating(Clock::now(), limit));
    }

    /// As `get_blocking`, but the end of the queue is an empty optional, as with `next`.
    std::optional<T> next_blocking() {
        std::optional<T> item;
        internal::ThreadEntry entry(lines_, &item);
        if (!take_or_end(item, &entry)) wait_blocking_quietly(entry, internal::never);
        return item;
    }

    /// Blocks the thread until there is room, and puts `item` into the queue. Throws:
    /// QueueShutDown.
    void put_blocking(T item) { put_blocking_until(item, internal::never); }
    /// The same for at most `limit`. Returns false if there was no room by then; `item` has not
    /// been moved from.
    bool put_blocking_for(T&& item, Delay limit) {
        return put_blocking_until(item, internal::add_saturating(Clock::now(), limit));
    }

    // For tasks and threads. These never wait.

    /// Takes an item if there is one. Returns an empty optional if there is none now. Throws:
    /// QueueShutDown if the queue was shut down and is empty.
    std::optional<T> try_get() {
        std::optional<T> item;
        take(item, nullptr);
        return item;
    }
    /// Puts `item` into the queue if there is room. Returns false if there is none; `item` has not
    /// been moved from.
    /// Throws: QueueShutDown.
    bool try_put(T&& item) { return give(item, nullptr); }

    /// How many items are in the queue. Other threads may change this before the caller looks at
    /// the answer; the same holds for `empty` and `full`.
    std::size_t qsize() const {
        const std::lock_guard lock(lines_->mutex);
        return items_.size();
    }
    bool empty() const { return qsize() == 0; }
    bool full() const { return maxsize_ != 0 && qsize() >= maxsize_; }

private:
    /// Takes an item; returns true if there was one. If there was none and `place` is not null,
    /// puts `place` in the line under the same lock. Throws: QueueShutDown.
    bool take(std::optional<T>& item, Entry* entry) {
        const bool is_over = take_or_end(item, entry);
        if (is_over && !item) throw QueueShutDown();
        return is_over;
    }

    /// The same without the exception: returns true and leaves `item` empty if the queue was shut
    /// down and is empty.
    bool take_or_end(std::optional<T>& item, Entry* entry) {
        Entry* served = nullptr;
        {
            const std::lock_guard lock(lines_->mutex);
            if (items_.empty()) {
                if (!lines_->is_shut_down && entry != nullptr) lines_->getters.push_back(*entry);
                return lines_->is_shut_down;
            }
            // The step that may throw comes first: without memory for the putter's item, nothing
            // has changed.
            if (!lines_->putters.empty())
                items_.push_back(std::move(*static_cast<T*>(lines_->putters.front().item)));
            if (!lines_->putters.empty()) served = &serve_first(lines_->putters);
            item.emplace(std::move(items_.front()));
            items_.pop_front();
        }
        if (served != nullptr) served->wake(*served);
        return true;
    }

    /// Hands `item` to a waiting getter, or puts it into the queue; returns true then. If there is
    /// no room and `place` is not null, puts `place` in the line under the same lock. Throws:
    /// QueueShutDown.
    bool give(T& item, Entry* entry) {
        Entry* served = nullptr;
        {
            const std::lock_guard lock(lines_->mutex);
            if (lines_->is_shut_down) throw QueueShutDown();
            if (!lines_->getters.empty()) {
                served = &serve_first(lines_->getters);
                static_cast<std::optional<T>*>(served->item)->emplace(std::move(item));
            } else if (maxsize_ == 0 || items_.size() < maxsize_) {
                items_.push_back(std::move(item));
            } else {
                if (entry != nullptr) lines_->putters.push_back(*entry);
                return false;
            }
        }
        if (served != nullptr) served->wake(*served);
        return true;
    }

    std::optional<T> get_blocking_until(TimePoint deadline) {
        std::optional<T> item;
        internal::ThreadEntry entry(lines_, &item);
        if (!take(item, &entry)) wait_blocking(entry, deadline);
        return item;
    }

    bool put_blocking_until(T& item, TimePoint deadline) {
        internal::ThreadEntry entry(lines_, &item);
        return give(item, &entry) || wait_blocking(entry, deadline);
    }

    std::deque<T> items_;
};

}  // namespace asyncio
