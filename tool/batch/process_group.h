#pragma once
// The processes that a command consists of: its shell, and all that this has started and that did
// not leave on purpose (`setsid`).
//
// The library can kill a group together with its leader (`end_group_at_exit`). That is not what is
// wanted here when a command is told to end: its shell usually dies of SIGTERM at once, and then
// the programs that it ran are to have their grace all the same.

#include <asyncio.h>

#include <sys/types.h>

namespace batch {

class ProcessGroup {
public:
    /// The group of the number of its first process.
    explicit ProcessGroup(pid_t leader) noexcept : leader_(leader) {}

    /// Ends every process of the group, and returns how `leader` has ended when it has: SIGTERM, up
    /// to `grace` for all of them to go, SIGKILL. Zero, and a group whose leader has ended by
    /// itself, get SIGKILL at once.
    asyncio::Coro<int> end(const asyncio::Process& leader, asyncio::Duration grace) const;

private:
    /// To every process in the group; nobody is no error.
    void signal(int number) const noexcept;
    /// Only when the leader has been reaped: until then, it is in the group.
    bool is_empty() const noexcept;
    asyncio::Coro<> wait_until_empty(const asyncio::Process& leader, asyncio::Duration limit) const;

    pid_t leader_;
};

}  // namespace batch
