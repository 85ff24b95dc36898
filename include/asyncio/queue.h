#pragma once
// Queues between tasks: first in first out, smallest first, last in first out.
//
// A queue with a limit is how a fast producer is held back: `put` waits for room. The rules of
// waiting stand in `internal/queue_base.h`; here is what depends on the type of the items and on
// their order.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/queue_base.h>
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
    /// For those who pass a cancellation on as a value.
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

/// The awaiter of `put`. The item stays where the call has put it until there is room.
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

/// What `get` and `next` return.
template <class Awaiter, class Queue>
using QueueTake = lowlevel::Awaiting<Awaiter, Queue&>;

/// What `put` returns; it has the item.
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

/// A queue whose `Store` says in which order items leave it.
template <class T, class Store>
class BasicQueue : public QueueBase {
public:
    using value_type = T;

    /// At most `maxsize` items; zero or less: without limit, as in Python.
    explicit BasicQueue(std::ptrdiff_t maxsize = 0) : QueueBase(maxsize) {}
    /// Items are counted in whole numbers.
    explicit BasicQueue(std::floating_point auto maxsize) = delete;

    /// Waits until there is room, and puts `item` in.
    ///
    /// Throws: QueueShutDown; RuntimeError if it must wait and is not awaited in a task, or others
    /// wait in another loop.
    /// Cancellation: a cancellation point if it must wait; the item is not in the queue then. It is
    /// destroyed, so pass a copy of what must not be lost.
    /// Python: `queue.put(item)`.
    QueuePut<BasicQueue> put(T item) { return {*this, std::move(item)}; }

    /// Puts `item` in. Throws: QueueFull, QueueShutDown; the item has not been moved from then.
    template <class Item = T>
        requires std::constructible_from<T, Item&&>
    void put_nowait(Item&& item) {
        require_room();
        items_.push(std::forward<Item>(item));
        item_added();
    }

    /// Puts `item` in if there is room; false, and not moved from, if there is none.
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
    /// Throws: QueueShutDown when the queue was shut down and is empty; RuntimeError as `put`.
    /// Cancellation: a cancellation point if it must wait; no item has left the queue then.
    /// Python: `queue.get()`.
    QueueTake<QueueGetAwaiter<BasicQueue>, BasicQueue> get() noexcept {
        return QueueTake<QueueGetAwaiter<BasicQueue>, BasicQueue>(*this);
    }

    /// As `get`, but the end of the queue is a value: nothing (`std::nullopt`) when it was shut
    /// down and is empty. `while (auto item = co_await queue.next())` takes all there is and will
    /// be.
    /// Python: none.
    QueueTake<QueueNextAwaiter<BasicQueue>, BasicQueue> next() noexcept {
        return QueueTake<QueueNextAwaiter<BasicQueue>, BasicQueue>(*this);
    }

    /// Takes an item. Throws: QueueEmpty; QueueShutDown if it is empty and was shut down.
    T get_nowait() {
        require_item();
        T item = items_.pop();
        item_removed();
        return item;
    }

    /// Takes an item if there is one; nothing (`std::nullopt`) if there is none, now or for ever.
    /// Python: none; `get_nowait` without the exception.
    std::optional<T> try_get() {
        if (empty()) return std::nullopt;
        return get_nowait();
    }

    /// From now on nothing can be put into the queue: putting throws QueueShutDown, also in those
    /// who wait for room. What is in it can still be got, and must be done for `join` to return;
    /// then getting throws QueueShutDown, at once in those who wait.
    /// `immediate` drops what is in the queue. Shutting down again is allowed, and may be used to
    /// drop what is left.
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

/// A heap with the smallest on top; among equals, who came first.
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

/// First in, first out.
///
/// `T` is anything that can be moved.
/// Lifetime: may go while tasks wait in it. They wait on until they are cancelled, also those that
/// were woken for an item and had no turn yet, since the item goes with the queue.
/// Python: `asyncio.Queue`.
template <class T>
class Queue : public internal::BasicQueue<T, internal::FifoStore<T>> {
    using internal::BasicQueue<T, internal::FifoStore<T>>::BasicQueue;
};

/// The smallest first, as `Less` has it; among equals the one that came first.
///
/// Comparing must not throw. Cost: O(log items) to put and to get.
/// Python: `asyncio.PriorityQueue`, where the order among equals is open.
template <class T, class Less = std::less<T>>
class PriorityQueue : public internal::BasicQueue<T, internal::PriorityStore<T, Less>> {
    using internal::BasicQueue<T, internal::PriorityStore<T, Less>>::BasicQueue;
};

/// Last in, first out.
///
/// Python: `asyncio.LifoQueue`.
template <class T>
class LifoQueue : public internal::BasicQueue<T, internal::LifoStore<T>> {
    using internal::BasicQueue<T, internal::LifoStore<T>>::BasicQueue;
};

}  // namespace asyncio
