#pragma once
// A single run of a command, from its start to the end of its processes.
//
//   start ── the shell in a group of its own, /dev/null as its input, two pipes for what it writes
//   wait ─── for its end, for its limit, or for the batch to be stopped
//   end ──── SIGTERM to its processes, the grace, SIGKILL; also for what a finished command leaves
//   drain ── reads the rest of the pipes
//
// The command has ended when its process has ended. The end of its pipes says nothing: a command
// may close them and continue, and a daemon that it has started may hold them for ever. So after
// the end of the process, the attempt waits for the end of the pipes, but only for a short time.
//
// The attempt asks the process how it ended. It does not derive this from the event that woke the
// task. After a stop of the whole batch, the task may see the limit and the end of the process in
// the same moment; then the command has ended by itself.
//
// Once the processes are being ended, the attempt must not be cancelled (`is_cancellable`). A
// cancellation would leave `CommandProcesses::end` in the middle, with processes still alive. The
// alternative, a cancellation mask around the end, would only delay the request: afterwards it
// would interrupt the printing of the command's output.

#include <asyncio.h>

#include "batch/job/job.h"
#include "batch/processes/children.h"
#include "batch/processes/clock.h"
#include "batch/processes/command_processes.h"
#include "batch/processes/foreground.h"
#include "batch/run/launch.h"

#include <optional>
#include <string>

namespace tool::batch {

struct Limits {
    std::optional<asyncio::Duration> timeout;
    /// The time between SIGTERM and SIGKILL; zero: SIGKILL at once.
    asyncio::Duration grace{};
    /// Another try follows a failed try. The failed try must then leave no process behind, because
    /// two tries must not work on the same files at the same time.
    bool tries_again = false;
};

/// The settings that all attempts share.
struct AttemptSettings {
    Limits limits;
    Children& children;
    const Clock& clock;
    /// The terminal, which the commands use one after another (`--tty`). A command then reads from
    /// it and writes to the standard streams of the batch. Empty: commands have no terminal.
    const std::optional<Foreground>& foreground;
};

class Attempt {
public:
    Attempt(Job& job, const Launch& launch, const AttemptSettings& settings) noexcept
        : job_(job), launch_(launch), settings_(settings) {}

    /// Runs the job once and records how it ended.
    ///
    /// Throws: OsError if the command could not be started; then no process runs.
    /// Cancellation: ends the command as its limit would, with status `interrupted`, and returns
    /// normally. A cancellation before the start throws CancelledError. The caller may cancel only
    /// while `is_cancellable`.
    asyncio::Coro<> run();

    /// False as soon as the processes of the command are being ended.
    bool is_cancellable() const noexcept { return cancellable_; }

    /// The whole batch is about to stop, or continues after a stop. While the batch is stopped, the
    /// command must not have the terminal: the user's shell needs it.
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
    /// The process number of the shell, which is also the number of its group; 0 while none runs.
    pid_t shell_ = 0;
    /// The signal by which the terminal has stopped the command; 0 if it has not.
    int refused_terminal_ = 0;
};

}  // namespace tool::batch
