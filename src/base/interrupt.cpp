#include "base/interrupt.h"

#include <atomic>
#include <cerrno>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::internal {

/// All members are lock-free atomics: set before the handler is installed, cleared after it is
/// gone.
struct SignalSlot {
    int number;
    /// The second signal ends the process.
    bool once;
    std::atomic<SignalGuard::Function> function{nullptr};
    std::atomic<void*> argument{nullptr};
    std::atomic<int> signals{0};
    /// Handlers that run at this moment, on whatever thread.
    std::atomic<int> running{0};
};

namespace {

constinit SignalSlot interrupt_slot{SIGINT, true};
constinit SignalSlot quit_slot{SIGQUIT, false};

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

bool on_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

SignalGuard::SignalGuard(SignalSlot& slot, bool wanted, Function function, void* argument) noexcept
    : slot_(slot) {
    if (!wanted || slot.function.load() != nullptr) return;
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
    ::sigaction(slot_.number, &previous_, nullptr);
    slot_.function = nullptr;
    // A handler that has read the function before is counted by now, and one that comes later reads
    // null.
    while (slot_.running.load() > 0) ::sched_yield();
}

int SignalGuard::count() const noexcept { return took_effect_ ? slot_.signals.load() : 0; }

InterruptGuard::InterruptGuard(Function on_interrupt, void* argument) noexcept
    : SignalGuard(interrupt_slot, on_main_thread(), on_interrupt, argument) {}

QuitGuard::QuitGuard(bool wanted, Function on_quit, void* argument) noexcept
    : SignalGuard(quit_slot, wanted, on_quit, argument) {}

}  // namespace asyncio::internal
