#pragma once
// Queues between tasks: first in first out, smallest first, last in first out.
//
// A queue with a limit holds a fast producer back: `put` waits for room. The rules of waiting stand
// in `internal/sync/queue_base.h`, which does not know what the items are. This file adds what
// depends on the type of the items and on their order.
//
// `get` and `put` do not hand items over between tasks. A woken getter looks at the queue when it
// runs, and takes an item if there still is one; a running task may have taken it first. So a
// cancelled getter has never taken an item, and no item can be lost. (`ThreadQueue` hands items
// over; thread_queue.h says why.)
//
// Thread-safety: loop thread only.

#include <asyncio/internal/base/lifetime.h>
#include <asyncio/internal/sync/queue_base.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/outcome.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace asyncio {
namespace internal {

/// The awaiter of `get`.
template <class Queue>
class QueueGetAwaiter final : public QueueGetWaiter {
    using T = typename Queue::value_type;

public:
    explicit QueueGetAwaiter(Queue& queue) noexcept : QueueGetWaiter(queue), queue_(queue) {}

    [[gnu::always_inline]] T await_resume() {
        if (!end_wait()) [[unlikely]]
            task().throw_cancelled();
        return queue_.get_nowait();
    }
    /// For `settle`: the item, or a CancelledError or QueueShutDown as a value, without a throw.
    Outcome<T> take_outcome() {
        Outcome<T> outcome;
        if (!end_wait()) {
            outcome.fail(task().take_cancellation());
        } else if (queue_.empty()) {
            outcome.fail(std::make_exception_ptr(QueueShutDown()));
        } else {
            outcome.emplace(queue_.get_nowait());
        }
        return outcome;
    }

private:
    Queue& queue_;
};

/// The awaiter of `next`.
template <class Queue>
class QueueNextAwaiter final : public QueueGetWaiter {
public:
    explicit QueueNextAwaiter(Queue& queue) noexcept : QueueGetWaiter(queue), queue_(queue) {}

    std::optional<typename Queue::value_type> await_resume() {
        if (!end_wait()) [[unlikely]]
            task().throw_cancelled();
        return queue_.try_get();
    }

private:
    Queue& queue_;
};

/// The awaiter of `put`. The item stays in what `put` returned, in the frame of the caller, until
/// there is room.
template <class Queue>
class QueuePutAwaiter final : public QueuePutWaiter {
public:
    QueuePutAwaiter(Queue& queue, typename Queue::value_type& item) noexcept
        : QueuePutWaiter(queue), queue_(queue), item_(item) {}

    void await_resume() {
        if (!end_wait()) [[unlikely]]
            task().throw_cancelled();
        queue_.put_nowait(std::move(item_));
    }

private:
    Queue& queue_;
    typename Queue::value_type& item_;
};

/// The return type of `get` and `next`.
template <class Awaiter, class Queue>
using QueueTake = lowlevel::Awaiting<Awaiter, Queue&>;

/// The return type of `put`. It holds the item.
template <class Queue>
class [[nodiscard]] QueuePut {
public:
    using Item = typename Queue::value_type;
    QueuePut(Queue& queue, Item&& item) : queue_(queue), item_(std::move(item)) {}
    auto operator co_await() && noexcept { return QueuePutAwaiter<Queue>(queue_, item_); }

private:
    Queue& queue_;
    Item item_;
};

/// A queue. `Store` holds the items, and decides in which order they leave.
template <class T, class Store>
class BasicQueue : public QueueBase {
public:
    using value_type = T;

    /// A queue for at most `maxsize` items. Zero or less means no limit, as in Python.
    explicit BasicQueue(std::ptrdiff_t maxsize = 0) : QueueBase(maxsize) {}
    /// Refuses a number like 2.5, which would be cut off without a message.
    explicit BasicQueue(std::floating_point auto maxsize) = delete;

    /// Waits until there is room, and puts `item` into the queue.
    ///
    /// Throws: QueueShutDown; RuntimeError if the call must wait and is not awaited in a task, or
    /// if the queue belongs to another loop.
    /// Cancellation: a cancellation point if it must wait. When cancelled, the item is not in the
    /// queue, and is destroyed. Pass a copy of an item that must not be lost.
    /// Python: `queue.put(item)`.
    QueuePut<BasicQueue> put(T item) { return {*this, std::move(item)}; }

    /// Puts `item` into the queue without waiting. Throws: QueueFull, QueueShutDown; `item` is
    /// unchanged then.
    template <class Item = T>
        requires std::constructible_from<T, Item&&>
    void put_nowait(Item&& item) {
        require_room();
        items_.push(std::forward<Item>(item));
        item_added();
    }

    /// Puts `item` into the queue if there is room. Returns false if there is none; `item` is
    /// unchanged then.
    /// Throws: QueueShutDown. Python: none; `put_nowait` without the exception.
    template <class Item = T>
        requires std::constructible_from<T, Item&&>
    bool try_put(Item&& item) {
        require_open();
        if (full()) return false;
        put_nowait(std::forward<Item>(item));
        return true;
    }

    /// Waits until there is an item, and takes it.
    ///
    /// Throws: QueueShutDown if the queue was shut down and is empty; RuntimeError as `put`.
    /// Cancellation: a cancellation point if it must wait; no item has left the queue then.
    /// Python: `queue.get()`.
    QueueTake<QueueGetAwaiter<BasicQueue>, BasicQueue>
    get() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND {
        return QueueTake<QueueGetAwaiter<BasicQueue>, BasicQueue>(*this);
    }

    /// As `get`, but the end of the queue is a value: an empty optional when the queue was shut
    /// down and is empty. `while (auto item = co_await queue.next())` takes every item until then.
    /// Python: none.
    QueueTake<QueueNextAwaiter<BasicQueue>, BasicQueue>
    next() noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND {
        return QueueTake<QueueNextAwaiter<BasicQueue>, BasicQueue>(*this);
    }

    /// Takes an item without waiting. Throws: QueueEmpty; QueueShutDown if the queue is empty and
    /// was shut down.
    T get_nowait() {
        require_item();
        T item = items_.pop();
        item_removed();
        return item;
    }

    /// Takes an item if there is one. Returns an empty optional if there is none, also if the queue
    /// was shut down.
    /// Python: none; `get_nowait` without the exception.
    std::optional<T> try_get() {
        if (empty()) return std::nullopt;
        return get_nowait();
    }

    /// Closes the queue for new items. From then on `put` throws QueueShutDown, and so does every
    /// `put` that is waiting for room. The items in the queue can still be taken, and `join` still
    /// waits for them. When the queue is empty, `get` throws QueueShutDown, and so does every `get`
    /// that is waiting. With `immediate`, the items in the queue are dropped. Shutting down a
    /// second time is allowed, for example to drop the items that are left.
    /// Python: `queue.shutdown(immediate=False)`.
    void shutdown(QueueShutDownOptions options = {}) {
        check_thread();
        if (options.immediate) items_.clear();
        close(options);
    }

private:
    Store items_;
};

template <class T>
/// The oldest item leaves first.
class FifoStore {
public:
    template <class Item>
    void push(Item&& item) {
        items_.emplace_back(std::forward<Item>(item));
    }
    T pop() {
        T first = std::move(items_.front());
        items_.pop_front();
        return first;
    }
    void clear() noexcept { items_.clear(); }

private:
    std::deque<T> items_;
};

template <class T>
/// The newest item leaves first.
class LifoStore {
public:
    template <class Item>
    void push(Item&& item) {
        items_.emplace_back(std::forward<Item>(item));
    }
    T pop() {
        T last = std::move(items_.back());
        items_.pop_back();
        return last;
    }
    void clear() noexcept { items_.clear(); }

private:
    std::vector<T> items_;
};

/// A heap with the smallest item on top. Among equal items the oldest is on top: each item carries
/// the number of its arrival.
template <class T, class Less>
class PriorityStore {
public:
    explicit PriorityStore(Less less = {}) : leaves_later_{std::move(less)} {}

    template <class Item>
    void push(Item&& item) {
        items_.emplace_back(std::forward<Item>(item), next_number_++);
        std::push_heap(items_.begin(), items_.end(), leaves_later_);
    }
    T pop() {
        std::pop_heap(items_.begin(), items_.end(), leaves_later_);
        T smallest = std::move(items_.back().item);
        items_.pop_back();
        return smallest;
    }
    void clear() noexcept { items_.clear(); }

private:
    struct Entry {
        template <class Item>
        Entry(Item&& given, std::uint64_t position)
            : item(std::forward<Item>(given)), number(position) {}
        T item;
        std::uint64_t number;
    };
    struct LeavesLater {
        bool operator()(const Entry& left, const Entry& right) const {
            if (less(right.item, left.item)) return true;
            return !less(left.item, right.item) && right.number < left.number;
        }
        Less less;
    };

    std::vector<Entry> items_;
    LeavesLater leaves_later_;
    std::uint64_t next_number_ = 0;
};

}  // namespace internal

/// A queue in which the item that came first leaves first.
///
/// `T` is any type that can be moved.
/// Lifetime: the queue may be destroyed while tasks wait in it. They wait on until they are
/// cancelled, also a task that was woken for an item and has not run yet, since the item is
/// destroyed with the queue.
/// Python: `asyncio.Queue`.
template <class T>
class Queue : public internal::BasicQueue<T, internal::FifoStore<T>> {
    using internal::BasicQueue<T, internal::FifoStore<T>>::BasicQueue;
};

/// A queue in which the smallest item leaves first, as `Less` orders them. Among equal items, the
/// item that came first leaves first.
///
/// `Less` must not throw. Cost: O(log items) to put and to get.
/// Python: `asyncio.PriorityQueue`, which leaves the order among equal items open.
template <class T, class Less = std::less<T>>
class PriorityQueue : public internal::BasicQueue<T, internal::PriorityStore<T, Less>> {
    using internal::BasicQueue<T, internal::PriorityStore<T, Less>>::BasicQueue;
};

/// A queue in which the item that came last leaves first.
///
/// Python: `asyncio.LifoQueue`.
template <class T>
class LifoQueue : public internal::BasicQueue<T, internal::LifoStore<T>> {
    using internal::BasicQueue<T, internal::LifoStore<T>>::BasicQueue;
};

}  // namespace asyncio
