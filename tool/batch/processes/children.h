#pragma once
// The children of the worker: the shells of the commands, and the orphans that commands have left.
//
// The library waits for the shells. No code waits for an orphan, so this class reaps it when it
// dies. Otherwise it would stay in the process table as long as the batch runs.
//
// Each command has a mark in its environment, and every process that it starts inherits the mark.
// The mark tells the orphans of one command from those of another. A process can remove the mark
// from the environment of its children; such orphans are ended with the batch.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

namespace tool::batch {

class Children {
public:
    /// Called when a signal has stopped a shell.
    using WhenStopped = std::function<void(int signal)>;

    /// Registers a running shell as long as the object lives. A registered shell is never reaped
    /// here: its exit status belongs to the library.
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

    /// Makes a mark for one command: a line for its environment, "NAME=value".
    std::string next_mark();

    /// The orphans with this mark that are alive or not yet reaped.
    std::vector<pid_t> orphans_of(const std::string& mark);

    /// The caller calls it after each SIGCHLD. It reaps the orphans that have died, and reports the
    /// shells that have stopped. It returns when no dead child is left.
    asyncio::Coro<> look();

    /// Reaps the orphans of one process group that have died.
    void reap_group(pid_t group) noexcept;

    /// Stops all commands and their descendants, or continues them.
    void stop_all() const noexcept;
    void continue_all() const noexcept;

private:
    void tell_of_stopped();
    void signal_all(int signal) const noexcept;

    std::map<pid_t, WhenStopped> shells_;
    /// The mark of every orphan that was seen, or an empty string. Reading an environment costs
    /// three system calls, so it is read once for each orphan.
    std::unordered_map<pid_t, std::string> mark_of_orphan_;
    std::size_t marks_ = 0;
};

}  // namespace tool::batch
