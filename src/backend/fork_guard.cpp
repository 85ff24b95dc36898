// The count of forks that `ForkGuard` compares, and the message of a child that breaks the rule.
//
// The count is the only state. A guard remembers the count of the process in which it was made; the
// handler that fork(2) runs in the child adds one. So the check needs neither getpid(2), a system
// call each time, nor memory that would have to be unmapped in the child.
//
// Relaxed order is enough: the child begins with one thread, which itself has run the handler.

#include "backend/fork_guard.h"

#include "base/after_fork.h"
#include "base/log.h"

#include <cstdlib>

namespace asyncio::lowlevel {

std::atomic<unsigned> ForkGuard::current_generation{0};

ForkGuard::ForkGuard() noexcept {
    // If there is no memory for the registration, forks go unnoticed, as they would without this
    // class. Refusing to make a loop would be worse.
    [[maybe_unused]] static const bool registered =
        (internal::call_in_forked_children(
             [] { current_generation.fetch_add(1, std::memory_order_relaxed); }),
         true);
    generation_ = current_generation.load(std::memory_order_relaxed);
}

void ForkGuard::end_process() noexcept {
    internal::log(LogLevel::error,
                  "an event loop that was made before fork() is used in the child process; it "
                  "belongs to the parent process. Make a new loop in the child, or call exec.");
    std::abort();
}

}  // namespace asyncio::lowlevel
