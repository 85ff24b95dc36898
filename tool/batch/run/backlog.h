#pragma once
// The commands that have been read and wait for a workplace.
//
// The reader is ahead of the workplaces. So no workplace waits for input that is there, and in most
// batches the progress line knows the number of commands. The reader must not be far ahead, because
// input without end would fill the memory. So the backlog has a limit for the number of commands
// and a limit for their bytes. When one of them is reached, the reader waits.
//
// The commands stand in an `asyncio::Queue` without a limit of its own: a limit of the queue counts
// items and not bytes, and it wakes a waiting producer for each free place. The reader waits for an
// event instead, which is set when half of the backlog has been taken.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include "batch/input/feed.h"

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

namespace tool::batch {

class Backlog {
public:
    static constexpr std::size_t most_commands = 10'000;
    static constexpr std::size_t most_bytes = 2 * 1024 * 1024;

    /// After `close` a command is only kept for `take_nowait`.
    void add(Command command) {
        bytes_ += command.size_bytes();
        if (is_closed_) {
            rest_.push_back(std::move(command));
        } else {
            commands_.put_nowait(std::move(command));
        }
    }

    bool is_full() { return size() >= most_commands || bytes_ >= most_bytes; }

    /// Returns when half of a full backlog has been taken. So the reader reads a series of commands
    /// for each wake-up, not a single one. Only one task may wait here.
    asyncio::Coro<> wait_for_room() {
        has_room_.clear();
        co_await has_room_.wait();
    }

    /// Waits for the next command. Returns nothing if no more commands will come.
    asyncio::Coro<std::optional<Command>> take() {
        std::optional<Command> command = co_await commands_.next();
        if (command) was_taken(*command);
        co_return command;
    }

    /// Takes a command without waiting, also after `close`. Returns nothing if the backlog is
    /// empty.
    std::optional<Command> take_nowait() {
        if (std::optional<Command> command = commands_.try_get()) {
            was_taken(*command);
            return command;
        }
        if (rest_.empty()) return std::nullopt;
        Command command = std::move(rest_.front());
        rest_.pop_front();
        return command;
    }

    /// No more commands will be added. The commands that are there can still be taken.
    void end() {
        commands_.shutdown();
        has_room_.set();
    }

    /// From now on `take` returns nothing, even if commands are there.
    void close() {
        is_closed_ = true;
        while (std::optional<Command> command = commands_.try_get()) {
            rest_.push_back(std::move(*command));
        }
        end();
    }

    /// How many commands `take` can still give.
    std::size_t size() { return commands_.qsize(); }

private:
    void was_taken(const Command& command) {
        bytes_ -= command.size_bytes();
        if (size() <= most_commands / 2 && bytes_ <= most_bytes / 2) has_room_.set();
    }

    asyncio::Queue<Command> commands_;
    /// The bytes of the commands in the queue.
    std::size_t bytes_ = 0;
    asyncio::Event has_room_;
    bool is_closed_ = false;
    /// The commands that no workplace takes any more.
    std::deque<Command> rest_;
};

}  // namespace tool::batch
