// How the tree of processes is found in /proc, or without it, and how it is ended.
//
// The functions read /proc with plain blocking calls. The guard has no loop, and the worker calls
// them only while it ends commands. The files of /proc are made in memory, so a read does not wait
// for a disk.

#include "guard/descendants.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tool {
namespace {

using namespace std::chrono_literals;

/// How long `end_descendants` continues while no process dies.
constexpr auto patience = 2s;
/// A process needs a moment to die, and another look at once would only take its processor time.
constexpr auto between_passes = 1ms;
/// No kernel numbers processes higher (PID_MAX_LIMIT).
constexpr pid_t highest_number = 1 << 22;

/// The numbers of this process, from the namespace that /proc shows down to its own namespace.
std::string numbers_of_this_process() {
    std::ifstream status("/proc/self/status");
    const std::string title = "NSpid:";
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(title)) return line.substr(title.size());
    }
    return {};
}

/// Whether /proc lists children, and its numbers mean the same processes as in this namespace. They
/// do if this process has one number only, the one of getpid. `children` needs a kernel option, so
/// its presence is checked as well.
bool proc_is_ours() {
    std::istringstream numbers(numbers_of_this_process());
    pid_t first = 0;
    pid_t second = 0;
    numbers >> first >> second;
    return first == ::getpid() && second == 0 && ::access("/proc/thread-self/children", R_OK) == 0;
}

/// The threads of a process. Each thread has its own list of children in /proc. Empty if the
/// process has ended.
std::vector<std::filesystem::path> threads_of(pid_t process) {
    std::vector<std::filesystem::path> threads;
    std::error_code gone;
    const std::filesystem::directory_iterator folder(fmt::format("/proc/{}/task", process), gone);
    for (auto entry = begin(folder); !gone && entry != end(folder); entry.increment(gone)) {
        threads.push_back(entry->path());
    }
    return threads;
}

std::vector<pid_t> children_of(pid_t process) {
    std::vector<pid_t> children;
    for (const auto& thread : threads_of(process)) {
        std::ifstream file(thread / "children");
        for (pid_t child = 0; file >> child;) children.push_back(child);
    }
    return children;
}

/// Finds the children of this process without /proc: it asks waitid about every possible number.
/// The search takes about four million system calls, some seconds at worst. It happens only where
/// /proc cannot be used and processes were left.
std::vector<pid_t> children_by_number() {
    std::vector<pid_t> children;
    for (pid_t number = 1; number <= highest_number; ++number) {
        siginfo_t info;
        const int options = WEXITED | WNOHANG | WNOWAIT | __WALL;
        if (::waitid(P_PID, static_cast<id_t>(number), &info, options) == 0) {
            children.push_back(number);
        }
    }
    return children;
}

std::vector<pid_t> tree_below(pid_t process) {
    std::vector<pid_t> found = children_of(process);
    // The list grows while it is read: the children of each process in it are added at its end.
    for (std::size_t index = 0; index < found.size(); ++index) {
        const std::vector<pid_t> children = children_of(found[index]);
        found.insert(found.end(), children.begin(), children.end());
    }
    return found;
}

struct Reaped {
    /// At least one child was reaped.
    bool any;
    /// There are children, dead or alive.
    bool children_left;
};

/// Reaps every dead child, without waiting.
Reaped reap() noexcept {
    Reaped reaped{false, true};
    for (;;) {
        const pid_t process = ::waitpid(-1, nullptr, WNOHANG | __WALL);
        if (process == 0) return reaped;
        if (process < 0 && errno != EINTR) return {reaped.any, false};
        reaped.any = true;
    }
}

}  // namespace

void adopt_orphans() noexcept { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

std::vector<pid_t> descendants_of(pid_t process) {
    return proc_is_ours() ? tree_below(process) : std::vector<pid_t>();
}

std::vector<pid_t> own_children() {
    return proc_is_ours() ? children_of(::getpid()) : std::vector<pid_t>();
}

bool end_descendants() {
    using Clock = std::chrono::steady_clock;
    const bool sees_all = proc_is_ours();
    auto limit = Clock::time_point::max();
    for (bool is_first = true;; is_first = false) {
        const Reaped reaped = reap();
        if (!reaped.children_left) return true;
        if (Clock::now() > limit) return false;
        const auto victims = sees_all ? tree_below(::getpid()) : children_by_number();
        for (const pid_t process : victims) ::kill(process, SIGKILL);
        // The limit starts again after each death: a large tree may need long, but it makes
        // progress. It starts behind the search, because a search by number may take longer.
        if (is_first || reaped.any) limit = Clock::now() + patience;
        std::this_thread::sleep_for(between_passes);
    }
}

}  // namespace tool
