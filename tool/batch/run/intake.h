#pragma once
// The reader of a batch: it takes commands from the feed as they come and puts them into the
// backlog, while other commands run.

#include <asyncio.h>

#include "batch/input/feed.h"
#include "batch/report/resume.h"
#include "batch/run/backlog.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

namespace tool::batch {

/// The events that the reader reports.
struct IntakeEvents {
    /// A command was put into the backlog.
    std::function<void()> command_came;
    /// A command is skipped because the job log lists its number. `logged` is the text of the
    /// command that ran under this number; it may be another command.
    std::function<void(const Command& command, const std::string& logged)> command_was_done;
};

class Intake {
public:
    Intake(Feed& feed, const Resume& resume, IntakeEvents events)
        : feed_(feed), resume_(resume), events_(std::move(events)) {}

    /// Reads to the end of the input, or until `stop`. Never throws: see `error`.
    asyncio::Coro<> read();

    /// Ends the reading, and closes the backlog: waiting workplaces get no more commands.
    void stop();

    /// After `stop`: the next command that no workplace has taken, for the count. The rest of the
    /// input is read as well if its end is sure to come.
    asyncio::Coro<std::optional<Command>> next_rest();

    Backlog& backlog() noexcept { return backlog_; }

    /// How many commands have been read, and whether more may come.
    std::size_t known() const noexcept { return known_; }
    bool has_more() const noexcept { return !has_ended_; }

    /// Why the input cannot be read any further. Empty if it can, or if it has ended.
    const std::string& error() const noexcept { return error_; }
    /// A remark for the user about the input (`Feed::remark`).
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
    /// The task that reads, while it reads.
    std::optional<asyncio::TaskRef> reader_;
};

}  // namespace tool::batch
