// How the processes of a command are found, signalled, and seen to end.
//
// A group is named by a number, and the kernel uses numbers again. The number of a group is safe as
// long as any process of the group exists, the unreaped leader included. After the last process of
// a group has ended, the kernel gives out the number again only after every other number. All of
// that would have to happen between two looks at the group.
//
// The others are found anew for every signal, and are never kept in a list: between two signals a
// process may fork, and a kept number may belong to another process.

#include "batch/processes/command_processes.h"

#include "guard/descendants.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

namespace tool::batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// A process can wait for the end of another process, but not for the end of a group. So the group
/// is polled. The polling happens only while a command is being ended, after its shell has died and
/// before the other processes have. The pauses grow, because a program that needs longer than a few
/// milliseconds to clean up usually needs much longer.
constexpr Duration between_first_looks = 5ms;
constexpr Duration between_late_looks = 50ms;

/// How long a killed process may take to disappear. A process that survives this belongs to another
/// user, or waits for a broken disk; it must not delay the batch further.
constexpr Duration patience_with_killed = 2s;

}  // namespace

CommandProcesses::CommandProcesses(Children& children, const Clock& clock, const Process& shell,
                                   std::string mark) noexcept
    : children_(children),
      clock_(clock),
      shell_(shell),
      leader_(shell.pid()),
      mark_(std::move(mark)) {}

/// WNOWAIT leaves the status to the library, which reaps the shell when its loop sees the end.
bool CommandProcesses::shell_has_ended() const noexcept {
    siginfo_t info{};
    const auto number = static_cast<id_t>(leader_);
    return shell_.returncode() ||
           ::waitid(P_PID, number, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

Coro<int> CommandProcesses::end(Duration grace, Extent extent) const {
    if (grace > Duration::zero()) {
        signal(SIGTERM, extent);
        // A stopped process acts on SIGTERM only when it continues.
        signal(SIGCONT, extent);
        co_await wait_until_gone(grace, extent);
    }
    signal(SIGKILL, extent);
    const int returncode = co_await shell_.wait();
    if (extent == Extent::all) co_await kill_others();
    co_return returncode;
}

/// Kills until no process is left, because a process may have forked just before it was killed.
Coro<> CommandProcesses::kill_others() const {
    const TimePoint deadline = clock_.now() + patience_with_killed;
    while (!have_gone(Extent::all) && clock_.now() < deadline) {
        signal(SIGKILL, Extent::all);
        co_await sleep(between_first_looks);
    }
}

/// First waits for the shell, which costs nothing, and then polls for the other processes. The
/// limit is on the clock of the commands. `wait_for` uses the loop's clock, so its wait is repeated
/// when the batch was stopped meanwhile.
Coro<> CommandProcesses::wait_until_gone(Duration limit, Extent extent) const {
    const TimePoint deadline = clock_.now() + limit;
    while (!shell_.returncode() && clock_.now() < deadline) {
        try {
            co_await wait_for(shell_.wait(), deadline - clock_.now());
        } catch (const TimeoutError&) {
        }
    }
    Duration pause = between_first_looks;
    while (shell_.returncode() && !have_gone(extent) && clock_.now() < deadline) {
        co_await sleep(pause);
        pause = std::min(2 * pause, between_late_looks);
    }
}

/// Every process of the command outside its group. The processes of the group are removed from the
/// result, because the group gets its signals as a whole.
std::vector<pid_t> CommandProcesses::others() const {
    std::vector<pid_t> found = descendants_of(leader_);
    for (const pid_t orphan : children_.orphans_of(mark_)) {
        found.push_back(orphan);
        const std::vector<pid_t> below = descendants_of(orphan);
        found.insert(found.end(), below.begin(), below.end());
    }
    std::erase_if(found, [&](pid_t process) { return ::getpgid(process) == leader_; });
    return found;
}

/// The others are listed before the group is signalled: when a process dies, its children move out
/// of the tree below the shell.
void CommandProcesses::signal(int number, Extent extent) const {
    const std::vector<pid_t> outside = extent == Extent::all ? others() : std::vector<pid_t>();
    ::kill(-leader_, number);
    for (const pid_t process : outside) ::kill(process, number);
}

bool CommandProcesses::have_gone(Extent extent) const {
    return group_is_empty() && (extent == Extent::group || others().empty());
}

bool CommandProcesses::group_is_empty() const noexcept {
    // An orphan of the group is a child of this process (`descendants.h`). A dead one stays in the
    // group until it is reaped.
    children_.reap_group(leader_);
    return ::kill(-leader_, 0) != 0;
}

}  // namespace tool::batch
