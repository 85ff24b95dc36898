#include "base/interrupt.h"

#include <atomic>
#include <cerrno>

#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::internal {
namespace {

// A signal handler finds its way only through statics. All of them are lock-free atomics, set
// before the handler is installed and cleared after it is gone.
std::atomic<void (*)(void*) noexcept> handler_function{nullptr};
std::atomic<void*> handler_argument{nullptr};
std::atomic<int> interrupts{0};

void on_sigint(int signal_number) {
    const int saved_errno = errno;
    if (interrupts.fetch_add(1) == 0) {
        if (auto* function = handler_function.load()) function(handler_argument.load());
    } else {
        ::signal(signal_number, SIG_DFL);
        ::raise(signal_number);
    }
    errno = saved_errno;
}

}  // namespace

bool on_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

InterruptGuard::InterruptGuard(void (*on_interrupt)(void*) noexcept, void* argument) noexcept {
    if (!on_main_thread() || handler_function.load() != nullptr) return;
    if (::sigaction(SIGINT, nullptr, &previous_) != 0 || previous_.sa_handler != SIG_DFL) return;
    interrupts = 0;
    handler_argument = argument;
    handler_function = on_interrupt;
    struct sigaction action{};
    action.sa_handler = &on_sigint;
    sigemptyset(&action.sa_mask);
    installed_ = ::sigaction(SIGINT, &action, nullptr) == 0;
    if (!installed_) handler_function = nullptr;
}

InterruptGuard::~InterruptGuard() {
    if (!installed_) return;
    ::sigaction(SIGINT, &previous_, nullptr);
    handler_function = nullptr;
}

int InterruptGuard::count() const noexcept { return installed_ ? interrupts.load() : 0; }

}  // namespace asyncio::internal
