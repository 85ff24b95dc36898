#pragma once
// The processes that a command consists of:
//
//   its group    the shell, and every process that it has started and that has not left the group
//   the others   processes that have left the group (`setsid`, `timeout`, a daemon): they descend
//                from the shell, or they are orphans with the command's mark
//
// The library can kill a group when its leader ends (`end_group_at_exit`). This is not used here.
// When a command gets SIGTERM, its shell usually dies at once. The programs that it ran must still
// have their grace. The library's `Process::end_group` gives it to them, but it is not used here
// either, for three reasons. It measures the grace by the loop's clock, which continues while the
// batch is stopped. It knows only the group, and not the others. On Linux before 6.9 it gives no
// grace to the rest of a group whose leader has ended.

#include <asyncio.h>

#include "batch/processes/children.h"
#include "batch/processes/clock.h"

#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tool::batch {

class CommandProcesses {
public:
    /// Which processes to end. `group` is for a command that has ended by itself: its other
    /// processes continue, because a server among them may serve the next command.
    enum class Extent : std::uint8_t { group, all };

    CommandProcesses(Children& children, const Clock& clock, const asyncio::Process& shell,
                     std::string mark) noexcept;

    /// Whether the shell has ended, even if the loop has not seen its end yet.
    bool shell_has_ended() const noexcept;

    /// Ends the processes: SIGTERM, then a wait of up to `grace` for all of them to end, then
    /// SIGKILL. With a grace of zero, SIGKILL at once. Returns the status of the shell. A process
    /// that cannot be killed (`sudo`) is given up after two seconds.
    asyncio::Coro<int> end(asyncio::Duration grace, Extent extent) const;

private:
    std::vector<pid_t> others() const;
    /// Signals every process. It is no error if there is none.
    void signal(int number, Extent extent) const;
    /// The answer is useful only after the shell was reaped: until then the shell is in the group.
    bool group_is_empty() const noexcept;
    bool have_gone(Extent extent) const;
    asyncio::Coro<> kill_others() const;
    asyncio::Coro<> wait_until_gone(asyncio::Duration limit, Extent extent) const;

    Children& children_;
    const Clock& clock_;
    const asyncio::Process& shell_;
    /// The number of the shell, which is also the number of its group. It is copied, because it
    /// must stay known after the shell has ended.
    pid_t leader_;
    std::string mark_;
};

}  // namespace tool::batch
