#pragma once
// Ctrl-C, for whoever runs a loop on the main thread.

#include <csignal>

namespace asyncio::internal {

/// While it lives, the first SIGINT calls `on_interrupt(argument)` in the signal handler, which may
/// do only what is safe there; the second restores the default action and is raised again, so the
/// process ends as its user expects.
///
/// Takes effect only on the main thread, and only if SIGINT has its default action: who installs a
/// handler of his own wants it called. One at a time.
class InterruptGuard {
public:
    InterruptGuard(void (*on_interrupt)(void*) noexcept, void* argument) noexcept;
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    ~InterruptGuard();

    /// How many interrupts have come.
    int count() const noexcept;

private:
    bool installed_ = false;
    struct sigaction previous_{};
};

/// Whether the calling thread is the process's first.
bool on_main_thread() noexcept;

}  // namespace asyncio::internal
