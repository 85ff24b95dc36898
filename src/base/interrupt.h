#pragma once
// Signals of the terminal, for whoever runs a loop: SIGINT (Ctrl-C) and SIGQUIT.

#include <atomic>
#include <csignal>

namespace asyncio::internal {

/// What a signal handler calls. It finds its way only through statics, of which there is one for
/// each signal; so one guard per signal takes effect at a time.
struct SignalSlot;

/// While it lives, the signal calls `function(argument)` in the signal handler, which may do only
/// what is safe there. Takes effect only if the signal has its default action: who installs a
/// handler of his own wants it called.
///
/// The end waits for a handler that runs on another thread: what it uses can be taken away then.
class SignalGuard {
public:
    using Function = void (*)(void*) noexcept;

    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;
    ~SignalGuard() { end(); }

    /// Once is enough; the destructor does it too.
    void end() noexcept;
    /// How many of the signals have come.
    int count() const noexcept;

protected:
    SignalGuard(SignalSlot& slot, bool wanted, Function function, void* argument) noexcept;

private:
    SignalSlot& slot_;
    bool took_effect_ = false;
    bool installed_ = false;
    struct sigaction previous_{};
};

/// Ctrl-C, on the main thread only. The first SIGINT calls the function; the second restores the
/// default action and is raised again, so the process ends as its user expects.
class InterruptGuard : public SignalGuard {
public:
    InterruptGuard(Function on_interrupt, void* argument) noexcept;
};

/// SIGQUIT, on any thread. Every one of them calls the function.
class QuitGuard : public SignalGuard {
public:
    QuitGuard(bool wanted, Function on_quit, void* argument) noexcept;
};

/// Whether the calling thread is the process's first.
bool on_main_thread() noexcept;

}  // namespace asyncio::internal
