#pragma once
// The commands that have been read and wait for a place.
//
// The reader is ahead of the places, so that none of them waits for input that is there, and a
// progress line knows how much there is in most batches. It is not far ahead: input without end
// must not fill the memory. So the backlog is full after so many commands, or so many bytes of
// them, and the reader waits.
//
// Thread-safety: loop thread only.

#include "batch/feed.h"
#include "batch/turn.h"

#include <cstddef>
#include <deque>
#include <optional>

namespace batch {

class Backlog {
public:
    static constexpr std::size_t most_commands = 10'000;
    static constexpr std::size_t most_bytes = 2 * 1024 * 1024;

    void add(Command command) {
        bytes_ += command.size_bytes();
        commands_.push_back(std::move(command));
        takers_.wake_one();
    }

    bool is_full() const noexcept {
        return commands_.size() >= most_commands || bytes_ >= most_bytes;
    }

    /// Returns when half of a full backlog has been taken: the reader goes on with a whole series
    /// of commands, not one at a time. There is one reader.
    asyncio::Coro<> wait_for_room() { co_await reader_.wait(); }

    /// The next command; waits for it. Nothing if none will come.
    asyncio::Coro<std::optional<Command>> take() {
        // One that comes between may have taken what this taker was woken for.
        while (commands_.empty() && !is_closed_) co_await takers_.wait();
        if (commands_.empty() || is_closed_for_takers_) co_return std::nullopt;
        co_return pop();
    }

    /// Without waiting, whatever was closed.
    std::optional<Command> take_nowait() {
        if (commands_.empty()) return std::nullopt;
        return pop();
    }

    /// No more will be pushed. Those that wait are still to be had.
    void end() {
        is_closed_ = true;
        wake_all();
    }

    /// No more are to be had by `take`.
    void close() {
        is_closed_for_takers_ = true;
        end();
    }

    std::size_t size() const noexcept { return commands_.size(); }

private:
    bool is_half_empty() const noexcept {
        return commands_.size() <= most_commands / 2 && bytes_ <= most_bytes / 2;
    }

    Command pop() {
        Command command = std::move(commands_.front());
        commands_.pop_front();
        bytes_ -= command.size_bytes();
        if (is_half_empty()) reader_.wake_one();
        return command;
    }

    void wake_all() {
        while (takers_.wake_one()) {
        }
        reader_.wake_one();
    }

    std::deque<Command> commands_;
    std::size_t bytes_ = 0;
    bool is_closed_ = false;
    bool is_closed_for_takers_ = false;
    Line takers_;
    Line reader_;
};

}  // namespace batch
