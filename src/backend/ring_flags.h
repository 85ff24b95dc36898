#pragma once
// Which flags a ring is made with, and how one finds out which of them this kernel knows.
//
// Thread-safety: stateless.

#include "backend/make_backend.h"

#include <cerrno>

#include <linux/io_uring.h>

namespace asyncio::lowlevel {

// Never among the flags: SQPOLL, which burns a core to save a call that batching makes rare.
//
// R_DISABLED belongs to the thread rule: with SINGLE_ISSUER the kernel binds the ring to the thread
// that enables it, and a loop may be constructed in one thread and run in another.
inline constexpr unsigned needed_ring_flags =
    IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

/// What makes the ring cheaper, newest first, which is the order in which older kernels refuse it,
/// and no flag behind one that it needs.
inline constexpr unsigned wished_ring_flags[] = {
    // 6.1: completions are worked off when we ask, not whenever the kernel interrupts us.
    IORING_SETUP_DEFER_TASKRUN,
    // 6.0: no locks against other submitters.
    IORING_SETUP_SINGLE_ISSUER,
    // 5.19: says in shared memory whether there is anything to work off.
    IORING_SETUP_TASKRUN_FLAG,
    // 5.19: no interrupt to tell us about completions.
    IORING_SETUP_COOP_TASKRUN,
    // 5.18: a request that is wrong does not hold up the ones behind it.
    IORING_SETUP_SUBMIT_ALL,
};

/// Calls `set_up(flags)`, which returns 0 or −errno, with every flag, and while the answer is
/// EINVAL, the kernel's word for a flag it does not know, with one flag fewer. Returns the last
/// answer.
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
