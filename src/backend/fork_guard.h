#pragma once
// Notices that a back-end is used in a child of the process that made it.
//
// After fork() parent and child share the kernel's half of a back-end: one ring, one epoll set, one
// eventfd. A child that went on with it would submit into its parent's ring, take its parent's
// completions, and disarm its parent's descriptors; both would hang or corrupt memory, far from the
// cause. So a back-end ends the child at its first wait or submission, with a message that says
// what to do. (Destroying it in the child is allowed and touches nothing of the parent's.)
//
// It is an abort and not an error code because there is nobody to report to: the loop that would
// handle the error is itself a copy of a loop that runs elsewhere.
//
// The cost is one load: a handler registered with pthread_atfork counts the generations. The child
// of vfork, posix_spawn or a bare clone runs no such handler, and none is needed, because it goes
// on to exec.
//
// Thread-safety: any thread.

#include <atomic>

namespace asyncio::lowlevel {

class ForkGuard {
public:
    ForkGuard() noexcept;

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

    unsigned generation_;
};

}  // namespace asyncio::lowlevel
