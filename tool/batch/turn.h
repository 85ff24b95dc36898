#pragma once
// Tasks in a line: each waits until the one before it lets it go on.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <deque>
#include <utility>

namespace batch {

/// Tasks that wait to be woken one by one, in the order in which they came.
class Line {
public:
    /// Cancellation: leaves the line; a wake-up that had come already goes to the next.
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

    /// False if nobody waits.
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

/// What one task has at a time: first come, first served.
class Turn {
public:
    /// Held while it lives.
    class Held {
    public:
        explicit Held(Turn& turn) noexcept : turn_(&turn) {}
        Held(Held&& other) noexcept : turn_(std::exchange(other.turn_, nullptr)) {}
        Held& operator=(Held&&) = delete;
        ~Held() {
            // Handed on while it is taken, so that nobody who comes now overtakes those who wait.
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
    bool taken_ = false;
};

}  // namespace batch
