// The handlers of SIGINT and SIGQUIT, and how they are removed while one of them may be running.
//
// A signal handler gets only the signal's number, so it finds its work through a static slot, of
// which there is one per signal. The function and its argument are set before the handler is
// installed. They are cleared after the old disposition is back.
//
// The race at the end. The process's signal may be handled on any thread. While one thread ends the
// guard, another may be inside the handler, and about to call a function whose argument is going to
// be destroyed. So the handler counts itself in `running` before it reads the function, and the
// guard clears the function before it reads `running`. Both use the strongest order, so at least
// one of them sees the other: the handler reads null, or the guard waits for it. This wait is a
// loop that yields, because a handler cannot safely wake a sleeping thread, and it lasts for a few
// instructions.
//
// The second Ctrl-C ends the process. The first one has asked the program to stop, and a user who
// asks twice has seen that it does not. So the handler restores the default action and raises the
// signal again. The shell then sees a process that was killed by SIGINT, and stops its loop of
// commands.

#include "base/interrupt.h"

#include <atomic>
#include <cerrno>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::internal {

/// All members that the handler uses are lock-free atomics. They are set before the handler is
/// installed, and cleared after it is gone.
struct SignalSlot {
    int number;
    /// Whether the second signal ends the process.
    bool once;
    std::atomic<SignalGuard::Function> function{nullptr};
    std::atomic<void*> argument{nullptr};
    std::atomic<int> signals{0};
    /// How many handlers run at this moment, on any thread.
    std::atomic<int> running{0};
};

namespace {

constinit SignalSlot interrupt_slot{SIGINT, true};
constinit SignalSlot quit_slot{SIGQUIT, false};

/// Safe in a handler: atomics, `signal` and `raise`. errno is restored, because the interrupted
/// code may be about to read it.
void on_signal(int number) {
    const int saved_errno = errno;
    SignalSlot& slot = number == SIGINT ? interrupt_slot : quit_slot;
    slot.running.fetch_add(1);
    if (slot.signals.fetch_add(1) == 0 || !slot.once) {
        if (auto* const function = slot.function.load()) function(slot.argument.load());
    } else {
        ::signal(number, SIG_DFL);
        ::raise(number);
    }
    slot.running.fetch_sub(1);
    errno = saved_errno;
}

}  // namespace

/// The first thread of a process has the process's number. By system call, so that it is right also
/// in the child of a fork.
bool on_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

SignalGuard::SignalGuard(SignalSlot& slot, bool wanted, Function function, void* argument) noexcept
    : slot_(slot) {
    // Another guard has the slot already (a loop inside a worker thread, for example): the first
    // one wins.
    if (!wanted || slot.function.load() != nullptr) return;
    // A program that has installed a handler, or ignores the signal, has decided what it means.
    if (::sigaction(slot.number, nullptr, &previous_) != 0 || previous_.sa_handler != SIG_DFL)
        return;
    slot.signals = 0;
    slot.argument = argument;
    slot.function = function;
    struct sigaction action{};
    action.sa_handler = &on_signal;
    sigemptyset(&action.sa_mask);
    took_effect_ = installed_ = ::sigaction(slot.number, &action, nullptr) == 0;
    if (!installed_) slot.function = nullptr;
}

void SignalGuard::end() noexcept {
    if (!installed_) return;
    installed_ = false;
    // From here on the kernel starts no new handler. A handler that it started before may not have
    // counted itself yet; that one will read null.
    ::sigaction(slot_.number, &previous_, nullptr);
    slot_.function = nullptr;
    // A handler that has read the function is counted in `running` by now. A handler that reads it
    // later reads null.
    while (slot_.running.load() > 0) ::sched_yield();
}

/// Also valid after `end`, because callers ask after they have stopped listening.
int SignalGuard::count() const noexcept { return took_effect_ ? slot_.signals.load() : 0; }

InterruptGuard::InterruptGuard(Function on_interrupt, void* argument) noexcept
    : SignalGuard(interrupt_slot, on_main_thread(), on_interrupt, argument) {}

QuitGuard::QuitGuard(bool wanted, Function on_quit, void* argument) noexcept
    : SignalGuard(quit_slot, wanted, on_quit, argument) {}

}  // namespace asyncio::internal
