#pragma once
// The reader of a batch: takes commands from the feed as they come and lays them on the backlog,
// beside the commands that run already.

#include <asyncio.h>

#include "batch/backlog.h"
#include "batch/feed.h"
#include "batch/resume.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace batch {

/// What the reader tells as it goes.
struct IntakeEvents {
    /// A command was laid on the backlog.
    std::function<void()> command_came;
    /// A command is left out, as the job log says that it has run; and as which it has, if that was
    /// another.
    std::function<void(const Command& command, const std::string& logged)> command_was_done;
};

class Intake {
public:
    Intake(Feed& feed, const Resume& resume, IntakeEvents events)
        : feed_(feed), resume_(resume), events_(std::move(events)) {}

    /// Reads to the end of the input, or until `stop`. Never throws: see `error`.
    asyncio::Coro<> read();

    /// No more is read, and nothing more can be taken from the backlog by those who wait for it.
    void stop();

    /// After `stop`, what had not been taken, and what can be counted of the rest.
    asyncio::Coro<std::optional<Command>> next_rest();

    Backlog& backlog() noexcept { return backlog_; }

    /// How many commands are to be run as far as is known, and whether there may be more.
    std::size_t known() const noexcept { return known_; }
    bool has_more() const noexcept { return !has_ended_; }

    /// Why the input cannot be read any further; empty: it can, or it has ended.
    const std::string& error() const noexcept { return error_; }
    /// What a user should know about the input.
    std::string remark() const { return feed_.remark(); }

private:
    asyncio::Coro<std::optional<Command>> next();
    bool was_done(const Command& command);

    Feed& feed_;
    const Resume& resume_;
    IntakeEvents events_;
    Backlog backlog_;
    std::size_t known_ = 0;
    std::size_t counted_ = 0;
    bool has_ended_ = false;
    bool is_stopped_ = false;
    std::string error_;
    /// While it is reading.
    std::optional<asyncio::TaskRef> reader_;
};

}  // namespace batch
