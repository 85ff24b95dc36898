#pragma once
// What the numbers mean that the simulated world gives out as file descriptors.
//
// Thread-safety: none. A table belongs to one world.

#include <asyncio/lowlevel/operation.h>

#include "backend/simulated_pipe.h"

#include <functional>
#include <memory>
#include <new>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

/// Numbers from here on are the world's. A kernel hands out small ones and never comes this far.
inline constexpr int first_number = 1 << 30;

/// A pipe, and those who wait for something to happen to it.
struct Channel {
    Pipe pipe;
    OperationList waiting;
    bool changed = false;  ///< Something happened since the waiting ones were last tried.
    /// The next in the list of those.
    std::shared_ptr<Channel> next_changed;
};

using ChannelPtr = std::shared_ptr<Channel>;

/// What a descriptor number means.
struct End {
    ChannelPtr channel;
    Pipe::Side side;
};

/// The table from numbers to ends.
///
/// Giving a number out again as soon as it is free is what a kernel does, and where programs that
/// hold on to a closed number come to grief. So the seeded world does it too. The plain one uses a
/// number once.
class Descriptors {
public:
    explicit Descriptors(bool reuses_numbers) : reuses_numbers_(reuses_numbers) {}

    int open(ChannelPtr channel, Pipe::Side side) {
        const int number = next_number();
        ends_.emplace(number, End{std::move(channel), side});
        return number;
    }

    void close(int number) noexcept {
        ends_.erase(number);
        if (!reuses_numbers_) return;
        try {
            free_.push(number);
        } catch (const std::bad_alloc&) {
            // It is not given out again.
        }
    }

    /// Null if the number means nothing.
    const End* find(int number) const noexcept {
        const auto found = ends_.find(number);
        return found == ends_.end() ? nullptr : &found->second;
    }

private:
    int next_number() {
        if (free_.empty()) return unused_++;
        const int lowest = free_.top();
        free_.pop();
        return lowest;
    }

    bool reuses_numbers_;
    int unused_ = first_number;
    std::unordered_map<int, End> ends_;
    std::priority_queue<int, std::vector<int>, std::greater<>> free_;
};

}  // namespace asyncio::lowlevel::simulated
