// How the orphans of the commands are found and reaped.
//
// The difficulty is waitid: it reports the children of a process in the kernel's order, and some of
// them (the shells) belong to the library, which waits for each by a pidfd. A dead shell at the
// front hides every dead orphan behind it, because WNOWAIT leaves it there. So `look` waits a
// moment until the library has taken the shell. The alternative, asking about each orphan by its
// number, needs a list of all orphans, and such a list needs /proc.

#include "batch/processes/children.h"

#include "guard/descendants.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tool::batch {
namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

constexpr std::string_view mark_name = "ASYNCIO_BATCH_MARK=";

/// The pause before `look` asks again, so that the library can reap a shell that has died.
constexpr auto between_looks = 1ms;

/// The mark in the environment of a process; empty if it has none, or belongs to another user.
std::string mark_of(pid_t process) {
    std::ifstream environment(fmt::format("/proc/{}/environ", process), std::ios::binary);
    for (std::string line; std::getline(environment, line, '\0');) {
        if (line.starts_with(mark_name)) return line;
    }
    return {};
}

/// The number of a child that has died and was not reaped, without reaping it; 0 if there is none.
pid_t dead_child() noexcept {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? info.si_pid : 0;
}

}  // namespace

Children::Shell::Shell(Children& children, pid_t number, WhenStopped when_stopped)
    : children_(children), number_(number) {
    children_.shells_.emplace(number, std::move(when_stopped));
}

Children::Shell::~Shell() { children_.shells_.erase(number_); }

std::string Children::next_mark() {
    return fmt::format("{}{}.{}", mark_name, ::getpid(), ++marks_);
}

std::vector<pid_t> Children::orphans_of(const std::string& mark) {
    std::vector<pid_t> orphans;
    for (const pid_t child : own_children()) {
        if (shells_.contains(child)) continue;
        auto known = mark_of_orphan_.find(child);
        if (known == mark_of_orphan_.end()) {
            known = mark_of_orphan_.emplace(child, mark_of(child)).first;
        }
        if (known->second == mark) orphans.push_back(child);
    }
    return orphans;
}

Coro<> Children::look() {
    tell_of_stopped();
    while (const pid_t dead = dead_child()) {
        if (shells_.contains(dead)) {
            // The kernel reports one child at a time, and this one belongs to the library.
            co_await asyncio::sleep(between_looks);
        } else if (::waitpid(dead, nullptr, WNOHANG) == dead) {
            mark_of_orphan_.erase(dead);
        }
    }
}

void Children::reap_group(pid_t group) noexcept {
    while (const pid_t orphan = std::max(0, ::waitpid(-group, nullptr, WNOHANG))) {
        mark_of_orphan_.erase(orphan);
    }
}

/// waitid reports each stop once, so the loop ends when every stop has been reported.
void Children::tell_of_stopped() {
    siginfo_t info{};
    while (::waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid != 0) {
        const auto shell = shells_.find(info.si_pid);
        if (shell != shells_.end()) shell->second(info.si_status);
        info = {};
    }
}

void Children::stop_all() const noexcept { signal_all(SIGSTOP); }
void Children::continue_all() const noexcept { signal_all(SIGCONT); }

/// Signals the groups first. The kernel signals a whole group at once, so no process of it can
/// escape by forking. All descendants follow one by one, because some are in no group of a shell.
void Children::signal_all(int signal) const noexcept {
    for (const auto& [shell, unused] : shells_) ::kill(-shell, signal);
    for (const pid_t process : descendants_of(::getpid())) ::kill(process, signal);
}

}  // namespace tool::batch
