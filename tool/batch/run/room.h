#pragma once
// How many commands can run at once: as many as the system has descriptors and processes for.
//
// At the system's limit no command is dropped: a refused command waits until another command has
// ended. The user gets one remark for each kind of limit.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>

namespace tool::batch {

class Room {
public:
    /// `remark` shows a text to the user.
    explicit Room(std::function<void(std::string)> remark) : remark_(std::move(remark)) {}

    /// Whether there are descriptors for one more workplace, in addition to `workplaces`.
    bool has_one_more(std::size_t workplaces);

    /// The caller calls it when the start of a command was refused for the `refusals`th time in a
    /// row. Waits for room, and returns whether another attempt makes sense.
    asyncio::Coro<bool> was_made(const asyncio::OsError& refusal, std::size_t refusals);

    /// Counts a command that begins to run, from shortly before its start, and that has ended.
    void begin() {
        ++running_;
        nothing_runs_.clear();
    }
    void end() {
        if (--running_ == 0) nothing_runs_.set();
    }
    std::size_t running() const noexcept { return running_; }

    /// Returns when no command runs.
    asyncio::Coro<> wait_until_idle();

    /// Lets one command that waits for room try again.
    asyncio::Coro<> wake_one();

private:
    void note_shortage(const std::string& reason);

    std::function<void(std::string)> remark_;
    std::size_t running_ = 0;
    /// The number of commands for which there are descriptors, as far as it was asked.
    std::size_t descriptors_for_ = 0;
    /// Set while `running_` is zero, except before the first command.
    asyncio::Event nothing_runs_;
    /// Workplaces whose command was refused wait here, and are woken one by one. The condition's
    /// lock protects nothing: `running_` belongs to the loop's thread.
    asyncio::Condition command_ended_;
    bool limit_was_noted_ = false;
    bool shortage_was_noted_ = false;
};

}  // namespace tool::batch
