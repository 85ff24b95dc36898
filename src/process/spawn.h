#pragma once
// Starting a program: descriptors, vfork, exec, pidfd.
//
// All or nothing: if the kernel refuses any step, no program was started and no descriptor is left.
// So everything that can run out is acquired before the child exists, the slot for its pidfd
// included. A command that was killed after it had begun could not safely be tried again.
//
// Thread-safety: any thread.

#include <asyncio/lowlevel/fd.h>
#include <asyncio/subprocess.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace asyncio::internal {

/// The program to start and how, with texts of its own: the options hold views, and the start
/// happens in a later iteration of the loop. `SubprocessOptions` explains the parts.
struct SpawnRequest {
    SpawnRequest(std::vector<std::string> arguments, const SubprocessOptions& options);

    /// Throws: `std::invalid_argument` for mistakes that can be seen without asking the kernel.
    void check() const;
    bool makes_group() const noexcept { return start_new_session || process_group == 0; }

    std::vector<std::string> arguments;
    /// stdin, stdout, stderr.
    std::array<Stdio, 3> standard;
    /// Empty: the directory of this process.
    std::string cwd;
    /// The whole environment, or none: then the child gets this process's as it is at the start.
    std::optional<std::vector<std::string>> env;
    std::vector<int> pass_fds;
    std::optional<int> process_group;
    std::size_t limit;
    bool start_new_session;
    bool end_group_at_exit;
};

/// A program that was started.
struct Spawned {
    pid_t pid = -1;
    lowlevel::Fd pidfd;
    /// This process's ends of the pipes, non-blocking; empty where there is no pipe.
    std::array<lowlevel::Fd, 3> pipes;
};

/// Starts a program. Blocks the thread until the child has called exec, or failed to.
Spawned spawn(const SpawnRequest& request);

}  // namespace asyncio::internal
