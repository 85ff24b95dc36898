#pragma once
// Waiting for things that end in an order that is not known beforehand.
//
// `as_completed`, `map_as_completed` and `staggered_race` wait at a `Completions`: it has the
// numbers of what has ended, in that order, and the tasks that ask for the next one. A task that
// asks while no number is there waits in line, and the next number that comes is handed to the
// first task in line. So no later caller gets ahead of it, and a number that was handed over is not
// lost to a cancellation that comes afterwards.
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/awaiting.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/outcome.h>

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
    Completions(lowlevel::Loop& loop, std::size_t total) : loop_(loop), total_(total) {}
    Completions(const Completions&) = delete;
    Completions& operator=(const Completions&) = delete;

    /// Reserves memory for `count` numbers that no task has asked for, so that `put` need not
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

    lowlevel::Loop& loop_;
    lowlevel::Line waiting_;
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
class Completions::Next : public lowlevel::LineWaiter {
public:
    explicit Next(Completions& completions) noexcept : completions_(completions) {}

    bool await_ready() noexcept { return completions_.take(number_); }

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        if (&task("AsCompleted::next()").loop() != &completions_.loop_) [[unlikely]]
            throw_runtime_error(
                "AsCompleted::next() must be awaited in the event loop of its tasks");
        // A waiting task will get a number, so the number counts as promised from here on.
        ++completions_.promised_;
        wait_in(completions_.waiting_, coroutine, &abort);
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

    static Abort abort(lowlevel::Waiter& waiter, std::string_view reason) noexcept {
        const Abort left = leave_line(waiter, reason);
        if (left == Abort::removed) --static_cast<Next&>(waiter).completions_.promised_;
        return left;
    }

    Completions& completions_;
    std::size_t number_ = none;
};

inline Completions::Wait Completions::next() noexcept { return Wait(*this); }

}  // namespace asyncio::internal
