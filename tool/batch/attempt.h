#pragma once
// One run of a command, from its start to the end of its processes.
//
//   start ── the shell in a group of its own, /dev/null as its input, two pipes for what it writes
//   wait ─── for its end, for its limit, or for the batch to be stopped
//   end ──── SIGTERM to its processes, the grace, SIGKILL; also to what a finished command leaves
//   drain ── what is still in the pipes
//
// The command has ended when its process has, whatever becomes of its pipes: it may close them and
// go on, and a daemon that it has started may hold them for ever. So after the end, the end of the
// pipes is waited for, but not for long.
//
// How it ended is asked of the process, not of what woke us: when a limit and the end are seen in
// the same moment, as after a stop of the whole batch, the command has ended by itself.

#include <asyncio.h>

#include "batch/children.h"
#include "batch/clock.h"
#include "batch/command_processes.h"
#include "batch/foreground.h"
#include "batch/job.h"
#include "batch/launch.h"

#include <optional>
#include <string>

namespace batch {

struct Limits {
    std::optional<asyncio::Duration> timeout;
    /// Between SIGTERM and SIGKILL; zero: SIGKILL at once.
    asyncio::Duration grace{};
    /// A try that has failed is followed by another one, and so is to leave nothing behind.
    bool tries_again = false;
};

/// What attempts have in common.
struct AttemptSettings {
    Limits limits;
    Children& children;
    const Clock& clock;
    /// The terminal that each command has to itself, one after another. It then is the input, and
    /// the outputs go where those of the batch go. Nothing: commands have no terminal.
    const std::optional<Foreground>& foreground;
};

class Attempt {
public:
    Attempt(Job& job, const Launch& launch, const AttemptSettings& settings) noexcept
        : job_(job), launch_(launch), settings_(settings) {}

    /// Runs the job once and records how it ended.
    ///
    /// Throws: OsError if it could not be started; nothing runs then.
    /// Cancellation: ends the command as its limit would, with status `interrupted`, and returns
    /// normally; CancelledError if it came before the start. Only while `is_cancellable`.
    asyncio::Coro<> run();

    /// Once the command is being ended, that is not to be cancelled, for then it would not end.
    bool is_cancellable() const noexcept { return cancellable_; }

    /// The whole batch is about to stop, or goes on: whoever has the terminal then, it is not the
    /// command.
    void batch_stops() const noexcept;
    void batch_goes_on() const noexcept;

private:
    asyncio::Coro<asyncio::Process> start(const std::string& mark);
    asyncio::Coro<Status> wait_for_end(const asyncio::Process& process,
                                       const CommandProcesses& processes);
    void has_stopped(int signal);
    void ask_terminal_in_vain(int signal) noexcept;
    CommandProcesses::Extent what_to_end(Status end, int returncode) const noexcept;
    void record(Status end, int returncode);

    Job& job_;
    const Launch& launch_;
    const AttemptSettings& settings_;
    bool cancellable_ = true;
    /// The number of the shell, while it runs.
    pid_t shell_ = 0;
    /// With which signal the terminal has stopped the command; 0: it has not.
    int refused_terminal_ = 0;
};

}  // namespace batch
