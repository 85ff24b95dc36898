#pragma once
// What the tests of subprocesses have in common: short ways to start one, and what must hold at the
// end: no child, no descriptor, nothing of it in the process table.

#include <asyncio.h>

#include "support/descriptors.h"
#include "support/run_test.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace process_test {

using support::open_descriptors;
using namespace std::chrono_literals;

inline constexpr asyncio::SubprocessOptions all_pipes{
    .stdin = asyncio::PIPE, .stdout = asyncio::PIPE, .stderr = asyncio::PIPE};

/// No child is left, dead or alive.
inline void expect_no_child() {
    siginfo_t info{};
    const int result = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    EXPECT_EQ(result, -1) << "a child is left: " << info.si_pid;
    EXPECT_TRUE(result != -1 || errno == ECHILD);
}

/// `support::run_test`, and nothing of any child is left behind.
template <class Body>
void run_test(Body body) {
    const int before = open_descriptors();
    support::run_test(std::move(body));
    expect_no_child();
    EXPECT_EQ(open_descriptors(), before);
}

/// The letter of /proc for the state of a process: 'R', 'S', 'T', 'Z', … A blank if it is gone.
inline char state_of(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string about;
    std::getline(file, about);
    const std::size_t name_ends = about.rfind(')');
    return name_ends != std::string::npos ? about[name_ends + 2] : ' ';
}

/// Whether a process of that number exists and is no zombie.
inline bool is_alive(int pid) { return state_of(pid) != ' ' && state_of(pid) != 'Z'; }

/// Those who are not our children end a little later than they are told to. Holds the loop: nothing
/// of ours is in flight then, and virtual time would pass at once.
inline bool ends_soon(int pid) {
    for (int round = 0; round < 6000 && is_alive(pid); ++round) ::usleep(10'000);
    return !is_alive(pid);
}

/// How many living processes have `mark` among their arguments.
inline int alive_with(const std::string& mark) {
    int count = 0;
    DIR* directory = ::opendir("/proc");
    while (const dirent* entry = ::readdir(directory)) {
        const int pid = std::atoi(entry->d_name);
        if (pid <= 0) continue;
        std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
        std::string arguments;
        std::getline(file, arguments);
        if (arguments.find(mark) != std::string::npos && is_alive(pid)) ++count;
    }
    ::closedir(directory);
    return count;
}

struct Finished {
    asyncio::Process::Output output;
    int code = 0;
};

/// Runs a shell command with its output in pipes, to its end.
inline asyncio::Coro<Finished> run_shell(std::string command, asyncio::SubprocessOptions options) {
    options.stdout = asyncio::PIPE;
    asyncio::Process process =
        co_await asyncio::create_subprocess_shell(std::move(command), options);
    Finished finished;
    finished.output = co_await process.communicate();
    finished.code = *process.returncode();
    co_return finished;
}
inline asyncio::Coro<Finished> run_shell(std::string command) {
    return run_shell(std::move(command), {});
}

/// What a spawn says when it is refused; "" if it is not.
inline asyncio::Coro<std::pair<std::string, int>>
refusal_of(asyncio::Coro<asyncio::Process> starting) {
    try {
        const asyncio::Process process = co_await std::move(starting);
    } catch (const asyncio::OsError& error) {
        co_return std::pair<std::string, int>(error.what(), error.error());
    }
    co_return std::pair<std::string, int>("", 0);
}

inline asyncio::Duration since(asyncio::Clock::time_point start) {
    return asyncio::Clock::now() - start;
}

}  // namespace process_test
