#pragma once
// The commands that have been read and wait for a workplace.
//
// The reader is ahead of the workplaces. So no workplace waits for input that is there, and in most
// batches the progress line knows the number of commands. The reader must not be far ahead, because
// input without end would fill the memory. So the backlog has a limit for the number of commands
// and a limit for their bytes. When one of them is reached, the reader waits.
//
// Why not an asyncio::Queue: its limit counts items and not bytes, it wakes a waiting producer for
// each free place, and its two ways to end (`shutdown`, at once or not) do not cover this: after
// `close` no workplace takes a command, but the runner still takes them all to count them.
//
// Thread-safety: loop thread only.

#include "batch/input/feed.h"
#include "batch/run/turn.h"

#include <cstddef>
#include <deque>
#include <optional>

namespace tool::batch {

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

    /// Returns when half of a full backlog has been taken. So the reader reads a series of commands
    /// for each wake-up, not a single one. Only one task may wait here.
    asyncio::Coro<> wait_for_room() { co_await reader_.wait(); }

    /// Waits for the next command. Returns nothing if no more commands will come.
    asyncio::Coro<std::optional<Command>> take() {
        // Between the wake-up and this line another workplace may have taken the command.
        while (commands_.empty() && !is_closed_) co_await takers_.wait();
        if (commands_.empty() || is_closed_for_takers_) co_return std::nullopt;
        co_return pop();
    }

    /// Takes a command without waiting, also after `close`. Returns nothing if the backlog is
    /// empty.
    std::optional<Command> take_nowait() {
        if (commands_.empty()) return std::nullopt;
        return pop();
    }

    /// No more commands will be added. The commands that are there can still be taken.
    void end() {
        is_closed_ = true;
        wake_all();
    }

    /// From now on `take` returns nothing, even if commands are there.
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

}  // namespace tool::batch
