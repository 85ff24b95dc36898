#pragma once
// Two bricks for waiting tasks: a line of tasks that are woken one by one (`Line`), and a lock that
// serves its tasks in order of arrival (`Turn`).
//
// A waiting task is a future in a list. A cancelled future stays in the list and is skipped later:
// a search for it would cost more than an entry that is already done.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <deque>
#include <utility>

namespace tool::batch {

/// Tasks that wait until another task wakes them, one by one, in the order in which they came.
class Line {
public:
    /// Cancellation: the task leaves the line. If it was woken in the same moment, the wake-up goes
    /// to the next task; otherwise a wake-up would be lost.
    asyncio::Coro<> wait() {
        asyncio::Future<> place = asyncio::get_running_loop().create_future<>();
        waiting_.push_back(place);
        try {
            co_await place;
        } catch (const asyncio::CancelledError&) {
            if (!place.cancelled()) wake_one();
            throw;
        }
    }

    /// Wakes the first waiting task. False if no task waits.
    bool wake_one() {
        while (!waiting_.empty()) {
            const asyncio::Future<> first = std::move(waiting_.front());
            waiting_.pop_front();
            if (first.done()) continue;
            first.set_result();
            return true;
        }
        return false;
    }

    bool empty() const noexcept { return waiting_.empty(); }

private:
    std::deque<asyncio::Future<>> waiting_;
};

/// A lock that one task holds at a time. Tasks get it in the order of their arrival.
class Turn {
public:
    /// The lock is held as long as this object lives.
    class Held {
    public:
        explicit Held(Turn& turn) noexcept : turn_(&turn) {}
        Held(Held&& other) noexcept : turn_(std::exchange(other.turn_, nullptr)) {}
        Held& operator=(Held&&) = delete;
        ~Held() {
            // The lock stays taken while it passes to the next task. If it were free for a moment,
            // a task that arrives now could overtake the waiting tasks.
            if (turn_ != nullptr) turn_->taken_ = turn_->line_.wake_one();
        }

    private:
        Turn* turn_;
    };

    asyncio::Coro<Held> take() {
        if (taken_) co_await line_.wait();
        taken_ = true;
        co_return Held(*this);
    }

private:
    Line line_;
    /// A task holds the lock, or a woken task is about to hold it.
    bool taken_ = false;
};

}  // namespace tool::batch
