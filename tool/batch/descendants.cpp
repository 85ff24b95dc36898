#include "batch/descendants.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batch {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 2s;
/// Dying takes a process a moment, and looking again at once would only slow it down.
constexpr auto between_passes = 1ms;

/// A process may have threads that have children of their own. Empty if the process is gone.
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

/// Every descendant that can be seen now, parents before their children.
std::vector<pid_t> descendants() {
    std::vector<pid_t> found = children_of(::getpid());
    // The list grows while it is read: whoever is in it has his children added.
    for (std::size_t index = 0; index < found.size(); ++index) {
        const std::vector<pid_t> children = children_of(found[index]);
        found.insert(found.end(), children.begin(), children.end());
    }
    return found;
}

struct Reaped {
    bool any;
    bool children_left;
};

Reaped reap() noexcept {
    Reaped reaped{false, true};
    for (;;) {
        const pid_t process = ::waitpid(-1, nullptr, WNOHANG);
        if (process == 0) return reaped;
        if (process < 0 && errno != EINTR) return {reaped.any, false};
        reaped.any = true;
    }
}

void kill_descendants() {
    for (const pid_t process : descendants()) ::kill(process, SIGKILL);
}

/// A command leads its process group and is no session leader; an orphan usually leads nothing, and
/// a daemon both. An orphan that looks like a command is reaped at the end of the batch.
bool is_command(pid_t process) noexcept {
    return ::getpgid(process) == process && ::getsid(process) != process;
}

}  // namespace

void adopt_orphans() noexcept { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

bool end_descendants() {
    using Clock = std::chrono::steady_clock;
    auto last_success = Clock::now();
    for (;;) {
        const Reaped reaped = reap();
        if (!reaped.children_left) return true;
        if (reaped.any) last_success = Clock::now();
        if (Clock::now() - last_success > patience) return false;
        kill_descendants();
        std::this_thread::sleep_for(between_passes);
    }
}

void reap_orphans() {
    for (const pid_t child : children_of(::getpid())) {
        if (!is_command(child)) ::waitpid(child, nullptr, WNOHANG);
    }
}

}  // namespace batch
