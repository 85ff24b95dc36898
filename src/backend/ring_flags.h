#pragma once
// The flags with which a ring is made, and the search for those that this kernel knows.
//
// The kernel has no call that lists its flags: io_uring_setup answers EINVAL for one it does not
// know. A table by version number would be wrong on kernels with changes taken over from later
// ones, as distributions ship them. So the flags are tried, from all of them down to none.
//
// Thread-safety: stateless.

#include "backend/make_backend.h"

#include <cerrno>

#include <linux/io_uring.h>

namespace asyncio::lowlevel {

// SQPOLL is not among the flags: its kernel thread uses a core to save a call that batching makes
// rare.
//
// R_DISABLED belongs to the rule about threads: with SINGLE_ISSUER the kernel binds the ring to the
// thread that enables it, and a loop may be made in one thread and run in another. CLAMP lets a
// kernel with smaller limits shorten the queues instead of refusing them. CQSIZE makes the
// completion queue longer than twice the submission queue, which is the default.
inline constexpr unsigned needed_ring_flags =
    IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

/// The flags that make the ring cheaper, newest first. This is the order in which older kernels
/// refuse them, so dropping them one by one keeps as many as possible. A flag stands in front of
/// the flags that it needs: DEFER_TASKRUN needs SINGLE_ISSUER, and TASKRUN_FLAG needs COOP_TASKRUN
/// or DEFER_TASKRUN.
inline constexpr unsigned wished_ring_flags[] = {
    // 6.1: the work behind a completion is done when the thread asks, not whenever the kernel
    // interrupts.
    IORING_SETUP_DEFER_TASKRUN,
    // 6.0: no locks against other submitters.
    IORING_SETUP_SINGLE_ISSUER,
    // 5.19: shared memory says whether there is such work.
    IORING_SETUP_TASKRUN_FLAG,
    // 5.19: no interrupt (IPI) to announce completions.
    IORING_SETUP_COOP_TASKRUN,
    // 5.18: a wrong request does not delay the requests behind it.
    IORING_SETUP_SUBMIT_ALL,
};

/// Calls `set_up(flags)`, which returns 0 or −errno: first with every flag, and with one flag fewer
/// each time the answer is EINVAL, which is how the kernel refuses a flag that it does not know.
/// Returns the last answer, so any other refusal ends the search at once.
template <class SetUp>
int set_up_with_known_flags(SetUp set_up, RingFlags choice = RingFlags::all_known) {
    unsigned flags = needed_ring_flags;
    if (choice == RingFlags::none_wished) return set_up(flags);
    for (const unsigned wish : wished_ring_flags) flags |= wish;
    int error = set_up(flags);
    for (const unsigned wish : wished_ring_flags) {
        if (error != -EINVAL) break;
        flags &= ~wish;
        error = set_up(flags);
    }
    return error;
}

}  // namespace asyncio::lowlevel
