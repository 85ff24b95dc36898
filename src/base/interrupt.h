#pragma once
// Signals of the terminal, for code that runs a loop: SIGINT (Ctrl-C) and SIGQUIT (Ctrl-\).

#include <atomic>
#include <csignal>

namespace asyncio::internal {

/// The work of a signal handler. The handler finds it only through a static object, of which there
/// is one for each signal; so one guard per signal takes effect at a time.
struct SignalSlot;

/// While the guard lives, the signal calls `function(argument)` in the signal handler, which may do
/// only what is safe there. It takes effect only if the signal has its default action: a program
/// that has installed a handler of its own wants that one called.
///
/// The end waits for a handler that runs on another thread. Afterwards the objects that the
/// function uses may be destroyed.
class SignalGuard {
public:
    using Function = void (*)(void*) noexcept;

    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;
    ~SignalGuard() { end(); }

    /// Restores the signal's previous action. The destructor does it, too; a second call does
    /// nothing.
    void end() noexcept;
    /// How many of the signals have come.
    int count() const noexcept;

protected:
    SignalGuard(SignalSlot& slot, bool wanted, Function function, void* argument) noexcept;

private:
    SignalSlot& slot_;
    /// Whether the handler was installed at all; stays true after the end, for `count`.
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
