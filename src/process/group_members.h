#pragma once
// Whether a process group still has a process that can do something.
//
// The kernel counts dead processes as members of their group until their parent has reaped them.
// An orphan is reaped by the first process of its container, and many programs that run there never
// do it. So the group of a finished command may never become empty. /proc tells the dead processes
// from the living ones.
//
// Thread-safety: none.

#include <vector>

#include <sys/types.h>

namespace asyncio::internal {

/// Looks for the living members of one group.
class GroupMembers {
public:
    explicit GroupMembers(pid_t group) noexcept : group_(group) {}

    /// Whether a member is alive. Also true if /proc cannot tell.
    ///
    /// Cost: the first call, and a call after the members that it has found have ended, look at
    /// every process of the system. The calls between look at these members only.
    /// Throws: bad_alloc.
    bool any_is_alive();

private:
    pid_t group_;
    /// The members that the last search has found.
    std::vector<pid_t> known_;
};

}  // namespace asyncio::internal
