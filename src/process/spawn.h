#pragma once
// Starting a program: descriptors, vfork, exec, pidfd.
//
// All or nothing: whatever the kernel refuses on the way, nothing was started and no descriptor is
// left. That is why everything that can run out is acquired before the child exists, the slot for
// its pidfd included: a command that was killed after it had begun could not be tried again.
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

/// What to start, owned. `SubprocessOptions` says what the parts mean.
struct SpawnRequest {
    SpawnRequest(std::vector<std::string> arguments, const SubprocessOptions& options);

    /// Throws: `std::invalid_argument` for what no kernel needs to be asked about.
    void check() const;
    bool makes_group() const noexcept { return start_new_session || process_group == 0; }

    std::vector<std::string> arguments;
    std::array<Stdio, 3> standard;
    std::string cwd;
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
    /// Our ends of the pipes, non-blocking; none where there is no pipe.
    std::array<lowlevel::Fd, 3> pipes;
};

/// Starts a program. Holds the thread until the child has called exec, or failed to.
/// Throws: OsError, "spawn PROGRAM: reason".
Spawned spawn(const SpawnRequest& request);

}  // namespace asyncio::internal
