#pragma once
// One run of a command, from its start to the end of its process group.
//
//   start ── the shell in a group of its own, /dev/null as its input, two pipes for what it writes
//   wait ─── for its end, for its limit, or for the batch to be stopped
//   end ──── SIGTERM to the group, the grace, SIGKILL; also to what a finished command leaves
//   drain ── what is still in the pipes
//
// The command has ended when its process has, whatever becomes of its pipes: it may close them and
// go on, and a daemon that it has started may hold them for ever. So after the end, the end of the
// pipes is waited for, but not for long.

#include <asyncio.h>

#include "batch/job.h"

#include <optional>

namespace batch {

struct Limits {
    std::optional<asyncio::Duration> timeout;
    /// Between SIGTERM and SIGKILL; zero: SIGKILL at once.
    asyncio::Duration grace{};
};

class Attempt {
public:
    Attempt(Job& job, const Limits& limits) noexcept : job_(job), limits_(limits) {}

    /// Runs the job once and records how it ended.
    ///
    /// Throws: OsError if it could not be started; nothing runs then.
    /// Cancellation: ends the command as its limit would, with status `interrupted`, and returns
    /// normally; CancelledError if it came before the start. Only while `is_cancellable`.
    asyncio::Coro<> run();

    /// Once the command is being ended, that is not to be cancelled, for then it would not end.
    bool is_cancellable() const noexcept { return cancellable_; }

private:
    asyncio::Coro<Status> wait_for_end(const asyncio::Process& process);
    void record(Status end, int returncode);

    Job& job_;
    const Limits& limits_;
    bool cancellable_ = true;
};

}  // namespace batch
