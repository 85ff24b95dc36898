#pragma once
// Waiting for things that end in an order that is not known beforehand.
//
// `as_completed`, `map_as_completed` and `staggered_race` wait at a `Completions`: it has the
// numbers of what has ended, in that order, and the tasks that ask for the next one. A task that
// asks while no number is there waits in line, and the next number that comes is handed to the
// first task in line. So no later caller gets ahead of it, and a number that was handed over is not
// lost to a cancellation that comes afterwards.
//
// `Gate` is the same for a single event. `Join` waits for the end of a task and cannot be cut
// short. `Room` holds tasks back that would put in more than the consumer takes out.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/future_base.h>
#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/waiter.h>

#include <cstddef>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio::internal {

/// The numbers of what has ended, and the tasks that wait for one. It does not know what the
/// numbers stand for. Its owner puts each number once, and says at the beginning how many there
/// will be.
class Completions {
public:
    /// Every number has been taken or promised: nothing will come any more.
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    /// The time was over before the number came.
    static constexpr std::size_t late = none - 1;

    class Next;
    using Wait = lowlevel::Awaiting<Next, Completions&>;

    /// `total` numbers will come in all.
    Completions(EventLoop& loop, std::size_t total) : loop_(loop), total_(total) {}
    Completions(const Completions&) = delete;
    Completions& operator=(const Completions&) = delete;

    /// Reserves memory for so many numbers that no task has asked for, so that `put` need not
    /// allocate.
    void reserve(std::size_t count) { ready_.reserve(count); }
    /// `co_await completions.next()` gives the next number, `none`, or `late`.
    Wait next() noexcept;
    /// Hands `number` to the first waiting task, or keeps it. Does not allocate after `reserve`.
    void put(std::size_t number) noexcept;
    /// Every number that has not come yet is late from here on.
    void expire() noexcept;

private:
    bool take(std::size_t& number) noexcept;

    EventLoop& loop_;
    IntrusiveList<Next> waiting_;
    /// Numbers that have come while no task waited, oldest first. Taken ones stay: the vector is
    /// reserved once for all, and an index is cheaper than a queue.
    std::vector<std::size_t> ready_;
    /// How many of `ready_` have been taken.
    std::size_t taken_ = 0;
    std::size_t total_;
    /// How many numbers have been taken by a task, or are promised to a task that waits.
    std::size_t promised_ = 0;
    /// `expire` was called; numbers that come later are dropped.
    bool expired_ = false;
};

/// The awaiter. A task of another loop is refused: waking it would touch its loop from this thread.
class Completions::Next : public lowlevel::Waiter, public ListNode {
public:
    explicit Next(Completions& completions) noexcept : completions_(completions) {}

    bool await_ready() noexcept { return completions_.take(number_); }

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        TaskCore& self = task("AsCompleted::next()");
        if (&self.loop() != &completions_.loop_) [[unlikely]]
            refuse_loop();
        // A waiting task will get a number, so the number counts as promised from here on.
        ++completions_.promised_;
        completions_.waiting_.push_back(*this);
        waiting_task_ = &self;
        park(coroutine, &abort);
    }

    std::size_t await_resume() {
        resumed_with_effect();
        return number_;
    }
    Outcome<std::size_t> take_outcome() {
        if (std::exception_ptr cancellation = interrupted_quietly())
            return Outcome<std::size_t>::failure(std::move(cancellation));
        Outcome<std::size_t> number;
        number.emplace(number_);
        return number;
    }

private:
    friend Completions;

    [[noreturn, gnu::cold]] static void refuse_loop();
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<Next&>(waiter);
        // Out of the line means that a number has been handed over.
        if (!self.linked()) return Abort::too_late;
        self.unlink();
        --self.completions_.promised_;
        return Abort::removed;
    }

    Completions& completions_;
    TaskCore* waiting_task_ = nullptr;
    std::size_t number_ = none;
};

inline Completions::Wait Completions::next() noexcept { return Wait(*this); }

/// Opens once, and wakes the one task that waits for it.
class Gate {
public:
    class Passage;

    explicit Gate(EventLoop& loop) noexcept : loop_(loop) {}
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    bool is_open() const noexcept { return open_; }
    /// The task runs in the next iteration. Opening twice is allowed.
    void open() noexcept {
        open_ = true;
        if (waiting_ != nullptr) loop_.schedule(*std::exchange(waiting_, nullptr));
    }

private:
    EventLoop& loop_;
    /// The task that waits; null if none does, and once it has been woken.
    TaskCore* waiting_ = nullptr;
    bool open_ = false;
};

/// `co_await Gate::Passage(gate)`. If the gate is open when a cancellation comes, the wait has
/// succeeded, and the request stays with the task.
class Gate::Passage : public lowlevel::Waiter {
public:
    explicit Passage(Gate& gate) noexcept : gate_(gate) {}

    bool await_ready() const noexcept { return gate_.open_; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        gate_.waiting_ = &task();
        park(coroutine, &abort);
    }
    void await_resume() { resumed_with_effect(); }
    Outcome<void> take_outcome() {
        Outcome<void> outcome;
        outcome.emplace();
        if (std::exception_ptr cancellation = interrupted_quietly())
            outcome.fail(std::move(cancellation));
        return outcome;
    }

private:
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
        Gate& gate = static_cast<Passage&>(waiter).gate_;
        if (gate.open_) return Abort::too_late;
        gate.waiting_ = nullptr;
        return Abort::removed;
    }

    Gate& gate_;
};

/// A number of places. A task that comes when none is free waits in line.
class Room {
public:
    class Entry;
    using Wait = lowlevel::Awaiting<Entry, Room&>;

    Room(EventLoop& loop, std::size_t places) noexcept : loop_(loop), free_(places) {}
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;

    /// `co_await room.enter()` takes a place.
    Wait enter() noexcept;
    /// Gives a place back, to the first task that waits.
    void leave() noexcept;

private:
    EventLoop& loop_;
    IntrusiveList<Entry> waiting_;
    std::size_t free_;
};

/// The awaiter. A wait that is cancelled takes no place, even if it was given one: it gives the
/// place back before it throws.
class Room::Entry : public lowlevel::Waiter, public ListNode {
public:
    explicit Entry(Room& room) noexcept : room_(room) {}

    bool await_ready() noexcept {
        if (room_.free_ == 0) return false;
        --room_.free_;
        return true;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        waiting_task_ = &task();
        room_.waiting_.push_back(*this);
        park(coroutine, &abort);
    }
    void await_resume() {
        std::exception_ptr cancellation = resumed_quietly();
        if (cancellation == nullptr) return;
        if (was_given_) room_.leave();
        rethrow(cancellation);
    }

private:
    friend Room;

    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
        auto& self = static_cast<Entry&>(waiter);
        if (self.was_given_) return Abort::too_late;
        self.unlink();
        return Abort::removed;
    }

    Room& room_;
    TaskCore* waiting_task_ = nullptr;
    /// `Room::leave` has given its place to this wait.
    bool was_given_ = false;
};

inline Room::Wait Room::enter() noexcept { return Wait(*this); }

/// Waits until `future` is done, whatever its end, and passes no cancellation on to it. Requests
/// that come meanwhile are delivered at the next wait. For scopes that must not be left before a
/// child has ended.
class Join : public lowlevel::Waiter {
public:
    explicit Join(FutureBase& future) noexcept : future_(future) {}

    bool await_ready() const noexcept { return future_.done(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        future_.notify(task());
        park(coroutine, &cannot_abort);
    }
    void await_resume() const noexcept {}

private:
    FutureBase& future_;
};

}  // namespace asyncio::internal
