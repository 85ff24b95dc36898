#pragma once
// The processes that a command consists of:
//
//   its group    the shell, and all that this has started and that did not leave on purpose
//   the others   what did leave (`setsid`, `timeout`, a daemon): it descends from the shell, or is
//                an orphan with the command's mark
//
// The library can kill a group together with its leader (`end_group_at_exit`). That is not what is
// wanted here when a command is told to end: its shell usually dies of SIGTERM at once, and then
// the programs that it ran are to have their grace all the same.

#include <asyncio.h>

#include "batch/children.h"
#include "batch/clock.h"

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace batch {

class CommandProcesses {
public:
    /// The others are let be when a command has ended well: a server that it has started may serve
    /// the next one.
    enum class Extent : std::uint8_t { group, all };

    CommandProcesses(Children& children, const Clock& clock, const asyncio::Process& shell,
                     std::string mark) noexcept;

    /// Whether the shell has ended, be it that the loop has not noticed.
    bool shell_has_ended() const noexcept;

    /// Ends the processes, and returns how the shell has ended when it has: SIGTERM, up to `grace`
    /// for all of them to go, SIGKILL. Zero is SIGKILL at once. A process that cannot be killed
    /// (`sudo`) is given up after two seconds.
    asyncio::Coro<int> end(asyncio::Duration grace, Extent extent) const;

private:
    std::vector<pid_t> others() const;
    /// To every process; none is no error.
    void signal(int number, Extent extent) const;
    /// Only when the shell has been reaped: until then, it is in the group.
    bool group_is_empty() const noexcept;
    bool have_gone(Extent extent) const;
    asyncio::Coro<> kill_others() const;
    asyncio::Coro<> wait_until_gone(asyncio::Duration limit, Extent extent) const;

    Children& children_;
    const Clock& clock_;
    const asyncio::Process& shell_;
    /// The number of the shell, and of its group.
    pid_t leader_;
    std::string mark_;
};

}  // namespace batch
