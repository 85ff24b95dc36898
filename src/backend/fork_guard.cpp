#include "backend/fork_guard.h"

#include "base/log.h"

#include <cstdlib>

#include <pthread.h>

namespace asyncio::lowlevel {

std::atomic<unsigned> ForkGuard::current_generation{0};

ForkGuard::ForkGuard() noexcept {
    // Registered once and never taken back. Without memory for it forks go unnoticed, as they would
    // without this class.
    [[maybe_unused]] static const int registered = ::pthread_atfork(
        nullptr, nullptr, [] { current_generation.fetch_add(1, std::memory_order_relaxed); });
    generation_ = current_generation.load(std::memory_order_relaxed);
}

void ForkGuard::end_process() noexcept {
    internal::log(
        LogLevel::error,
        "an event loop made before fork() is used in the child; it belongs to the parent. "
        "Make a new loop in the child, or exec.");
    std::abort();
}

}  // namespace asyncio::lowlevel
