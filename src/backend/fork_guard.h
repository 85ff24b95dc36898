#pragma once
// Notices that a back-end is used in a child of the process that made it.
//
// After fork() parent and child share the kernel's half of a back-end: one ring, one epoll set, one
// eventfd. A child that continued with it would submit into its parent's ring, take its parent's
// completions, and disarm its parent's descriptors. Both would hang or corrupt memory, far from the
// cause. So a back-end ends the child at its first wait or submission, with a message that says
// what to do. (Destroying it in the child is allowed and touches nothing of the parent's.)
//
// The process is aborted, because an error code would have no receiver: the loop that would handle
// it is itself a copy of a loop that runs in another process.
//
// The check costs one load: a handler registered with pthread_atfork counts the generations. The
// child of vfork, posix_spawn or a bare clone runs no such handler, and needs none, because it goes
// on to exec.
//
// Thread-safety: any thread.

#include <atomic>

namespace asyncio::lowlevel {

class ForkGuard {
public:
    ForkGuard() noexcept;

    /// Whether this process is a child (or a later descendant) of the one that made the guard. Used
    /// by destructors, which must not touch what belongs to the parent.
    bool crossed() const noexcept {
        return generation_ != current_generation.load(std::memory_order_relaxed);
    }

    /// Ends the process if this is a child of the one that made the guard.
    void check() const noexcept {
        if (crossed()) [[unlikely]]
            end_process();
    }

private:
    [[noreturn]] static void end_process() noexcept;

    /// How many forks lie between the first process of the program and this one.
    static std::atomic<unsigned> current_generation;

    /// The count when the guard was made. Never written again, so any thread may read it.
    unsigned generation_;
};

}  // namespace asyncio::lowlevel
