// The sets of signals of guard and worker, and the reading of signals in the loop.
//
// Signals are named by exclusion: the batch takes every signal except those that are listed. A list
// of the known ones would miss a real-time signal that a job scheduler sends as its last warning.
//
// In the loop, signals come through a signalfd. A handler that writes into a pipe would need more
// code for the same effect.

#include "guard/signals.h"

#include <cerrno>
#include <cstdio>
#include <initializer_list>

#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace tool {
namespace {

sigset_t set_of(std::initializer_list<int> signals) noexcept {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    return set;
}

/// The kernel sends these signals to a thread that has made a mistake (a wrong memory access, for
/// example). The thread cannot continue, so it must die of the signal, and must not read it later.
bool is_fault(int signal) noexcept {
    const sigset_t faults = set_of({SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT});
    return sigismember(&faults, signal) == 1;
}

}  // namespace

bool is_ignored(int signal) noexcept {
    struct sigaction action{};
    ::sigaction(signal, nullptr, &action);
    return action.sa_handler == SIG_IGN;
}

sigset_t signals_of_guard() noexcept {
    sigset_t watched;
    sigfillset(&watched);
    for (const int signal : {SIGURG, SIGWINCH, SIGTTIN, SIGTTOU}) sigdelset(&watched, signal);
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        if (is_ignored(signal)) sigdelset(&watched, signal);
    }
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGCONT);
    return watched;
}

sigset_t signals_of_worker() noexcept {
    sigset_t watched = signals_of_guard();
    for (int signal = 1; signal <= SIGRTMAX; ++signal) {
        if (is_fault(signal)) sigdelset(&watched, signal);
    }
    // A write beyond a limit raises SIGXFSZ, and a write to a pipe without a reader raises SIGPIPE.
    // The write itself reports the error as well. SIGCONT has done its work when it is delivered.
    for (const int signal : {SIGXFSZ, SIGPIPE, SIGCONT}) sigdelset(&watched, signal);
    sigaddset(&watched, SIGTERM);
    return watched;
}

bool asks_for_end(int signal) noexcept {
    const sigset_t others = set_of({SIGCHLD, SIGCONT, SIGTSTP, SIGUSR1, SIGUSR2});
    return sigismember(&others, signal) == 0;
}

void use_mask_of_worker() noexcept {
    // SIGTTOU stops a background group that writes to its terminal (`stty tostop`) or changes the
    // terminal's settings. A process that blocks the signal may do both.
    const sigset_t blocked = set_of({SIGCHLD, SIGUSR1, SIGUSR2, SIGXFSZ, SIGPIPE, SIGTTOU});
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

void die_of(int signal) noexcept {
    std::fflush(nullptr);
    // SIGQUIT leaves a core file by default. The program has no fault, so a core file would
    // mislead.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(signal, SIG_DFL);
    const sigset_t only = set_of({signal});
    ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
    ::raise(signal);
}

SignalReader::SignalReader() {
    const sigset_t signals = signals_of_worker();
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = asyncio::lowlevel::Fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!descriptor_) throw asyncio::OsError(errno, "signalfd");
}

/// Reads first and waits only if no signal is there: several signals may have come at once.
asyncio::Coro<int> SignalReader::next() {
    for (;;) {
        signalfd_siginfo info;
        if (::read(descriptor_.get(), &info, sizeof info) == sizeof info) {
            co_return static_cast<int>(info.ssi_signo);
        }
        const int result =
            co_await asyncio::lowlevel::perform({.fd = descriptor_.get(), .events = POLLIN});
        if (result < 0) throw asyncio::OsError(-result, "wait for signals");
    }
}

}  // namespace tool
