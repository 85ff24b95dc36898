#pragma once
// How many commands can run at once: as many as the system has descriptors and processes for.
//
// When it has no more to give, nothing is dropped: a command that was refused waits until another
// has ended. The user is told of each limit once.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include "batch/turn.h"

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

namespace batch {

class Room {
public:
    /// `remark` takes what a user should know.
    explicit Room(std::function<void(std::string)> remark) : remark_(std::move(remark)) {}

    /// Whether there are descriptors for one more command, beside `workplaces`.
    bool has_one_more(std::size_t workplaces);

    /// A command was refused for the `refusals`th time in a row. Waits for room, and returns
    /// whether it is worth trying once more.
    asyncio::Coro<bool> was_made(const asyncio::OsError& refusal, std::size_t refusals);

    /// A command begins to run, or is about to; and has ended.
    void begin() noexcept { ++running_; }
    void end() noexcept { --running_; }
    std::size_t running() const noexcept { return running_; }

    /// A command that waits for room may try again.
    void wake_one() { waiting_.wake_one(); }

private:
    void note_shortage(const std::string& reason);

    std::function<void(std::string)> remark_;
    std::size_t running_ = 0;
    /// For so many commands there are descriptors.
    std::size_t descriptors_for_ = 0;
    /// Workplaces that want to start a command for which the system has no room.
    Line waiting_;
    bool limit_was_noted_ = false;
    bool shortage_was_noted_ = false;
};

}  // namespace batch
