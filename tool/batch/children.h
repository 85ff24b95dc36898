#pragma once
// The children of the worker: the shells of the commands, and orphans that commands have left.
//
// The library waits for the shells. Nobody waits for an orphan, so it is collected here when it
// dies; else it would stay in the process table for as long as the batch runs.
//
// Each command has a mark in its environment, which all that it starts inherits. By this mark the
// orphans of one command are told from those of another.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

namespace batch {

class Children {
public:
    /// What to do when a shell has been stopped by a signal.
    using WhenStopped = std::function<void(int signal)>;

    /// A shell that runs, as long as this lives.
    class Shell {
    public:
        Shell(Children& children, pid_t number, WhenStopped when_stopped);
        Shell(const Shell&) = delete;
        Shell& operator=(const Shell&) = delete;
        ~Shell();

    private:
        Children& children_;
        pid_t number_;
    };

    /// A line for the environment of a command, and no other command's: "NAME=value".
    std::string next_mark();

    /// The orphans with this mark that are alive or not yet reaped.
    std::vector<pid_t> orphans_of(const std::string& mark);

    /// To be called after each SIGCHLD: reaps the orphans that have died, and tells of shells that
    /// have stopped. Returns when there is nothing more to do.
    asyncio::Coro<> look();

    /// Reaps the orphans of one process group that have died.
    void reap_group(pid_t group) noexcept;

    /// Stops all commands and what they have left, or continues all of it.
    void stop_all() const noexcept;
    void continue_all() const noexcept;

private:
    void tell_of_stopped();
    void signal_all(int signal) const noexcept;

    std::map<pid_t, WhenStopped> shells_;
    /// Of every orphan that was looked at, what it has in place of a mark.
    std::unordered_map<pid_t, std::string> mark_of_orphan_;
    std::size_t marks_ = 0;
};

}  // namespace batch
