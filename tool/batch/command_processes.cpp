#include "batch/command_processes.h"

#include "batch/descendants.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

// A group is named by a number, and numbers are used again. Ours is safe as long as any process of
// the group is there, its unreaped leader included. Between the end of the last one and our next
// look, the kernel would have to hand out every other number once before it came back to this one.

namespace batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// The end of a group cannot be waited for, as that of a process can; it is looked for. This costs
/// something only when a command is being ended and its shell is dead before the others.
constexpr Duration between_first_looks = 5ms;
constexpr Duration between_late_looks = 50ms;

constexpr Duration patience_with_killed = 2s;

}  // namespace

CommandProcesses::CommandProcesses(Children& children, const Clock& clock, const Process& shell,
                                   std::string mark) noexcept
    : children_(children),
      clock_(clock),
      shell_(shell),
      leader_(shell.pid()),
      mark_(std::move(mark)) {}

bool CommandProcesses::shell_has_ended() const noexcept {
    siginfo_t info{};
    const auto number = static_cast<id_t>(leader_);
    return shell_.returncode() ||
           ::waitid(P_PID, number, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

Coro<int> CommandProcesses::end(Duration grace, Extent extent) const {
    if (grace > Duration::zero()) {
        signal(SIGTERM, extent);
        // A stopped process gets its SIGTERM only when it goes on.
        signal(SIGCONT, extent);
        co_await wait_until_gone(grace, extent);
    }
    signal(SIGKILL, extent);
    const int returncode = co_await shell_.wait();
    if (extent == Extent::all) co_await kill_others();
    co_return returncode;
}

/// A process may have forked just before it was killed.
Coro<> CommandProcesses::kill_others() const {
    const TimePoint deadline = clock_.now() + patience_with_killed;
    while (!have_gone(Extent::all) && clock_.now() < deadline) {
        signal(SIGKILL, Extent::all);
        co_await sleep(between_first_looks);
    }
}

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

void CommandProcesses::signal(int number, Extent extent) const {
    const std::vector<pid_t> outside = extent == Extent::all ? others() : std::vector<pid_t>();
    ::kill(-leader_, number);
    for (const pid_t process : outside) ::kill(process, number);
}

bool CommandProcesses::have_gone(Extent extent) const {
    return group_is_empty() && (extent == Extent::group || others().empty());
}

bool CommandProcesses::group_is_empty() const noexcept {
    // Orphans of the group are our children (`descendants.h`), and count until they are reaped.
    children_.reap_group(leader_);
    return ::kill(-leader_, 0) != 0;
}

}  // namespace batch
