// The guards of SIGINT, SIGQUIT and the signals that ask for the end: counting, and the second one.
//
// Everything in `hear` runs in the signal handler: atomics, and clock_gettime(2), which
// signal-safety(7) allows.

#include "base/interrupt.h"

#include <csignal>

#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::internal {

/// The first thread of a process has the process's number. By system call, so that it is right also
/// in the child of a fork.
bool on_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

void SignalGuard::hear(SignalListener& listener) noexcept {
    auto& self = static_cast<SignalGuard&>(listener);
    self.count_.fetch_add(1);
    const Duration now = Clock::now().time_since_epoch();
    Duration::rep first = 0;
    if (self.first_at_.compare_exchange_strong(first, now.count())) {
        self.function_(self.argument_, self.signal());
    } else {
        self.hear_again(now - Duration(first));
    }
}

void SignalGuard::hear_again(Duration after_first) const noexcept {
    switch (second_) {
        case Second::calls: return function_(argument_, signal());
        case Second::ends: end_process_by(signal());
        case Second::ends_if_late:
            if (after_first >= one_request) end_process_by(signal());
    }
}

void SignalGuard::end() noexcept {
    if (took_effect_) stop_listening(*this);
    took_effect_ = false;
}

InterruptGuard::InterruptGuard(Function on_interrupt, void* argument) noexcept
    : SignalGuard(SIGINT, Second::ends, on_interrupt, argument) {
    if (on_main_thread()) begin(StandByOver::default_action);
}

QuitGuard::QuitGuard(bool wanted, Function on_quit, void* argument) noexcept
    : SignalGuard(SIGQUIT, Second::calls, on_quit, argument) {
    if (wanted) begin(StandByOver::default_action);
}

TerminationGuard::TerminationGuard(int signal, Function on_signal, void* argument) noexcept
    : SignalGuard(signal, Second::ends_if_late, on_signal, argument) {
    begin();
}

}  // namespace asyncio::internal
