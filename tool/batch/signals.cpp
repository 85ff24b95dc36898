#include "batch/signals.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <initializer_list>

#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace batch {
namespace {

sigset_t set_of(std::initializer_list<int> signals) noexcept {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) sigaddset(&set, signal);
    return set;
}

/// The kernel sends these to a thread for a mistake of its own. Nothing sensible can be done then.
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
    // Writing beyond a limit or to a pipe without a reader raises these. The write says it as well.
    for (const int signal : {SIGXFSZ, SIGPIPE, SIGCONT}) sigdelset(&watched, signal);
    sigaddset(&watched, SIGTERM);
    return watched;
}

bool asks_for_end(int signal) noexcept {
    const sigset_t others = set_of({SIGCHLD, SIGCONT, SIGTSTP, SIGUSR1, SIGUSR2});
    return sigismember(&others, signal) == 0;
}

void use_mask_of_worker() noexcept {
    // SIGTTOU: a group in the background may be stopped for writing to its terminal
    // (`stty tostop`), but not if it blocks the signal.
    const sigset_t blocked = set_of({SIGCHLD, SIGUSR1, SIGUSR2, SIGXFSZ, SIGPIPE, SIGTTOU});
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
}

void die_of(int signal) noexcept {
    std::fflush(nullptr);
    // The signal may be one that leaves a core file, and nothing has gone wrong in here.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(signal, SIG_DFL);
    const sigset_t only = set_of({signal});
    ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
    ::raise(signal);
}

WithoutSignal::WithoutSignal(int signal) noexcept : signal_(set_of({signal})) {
    ::sigprocmask(SIG_BLOCK, &signal_, &before_);
}

WithoutSignal::~WithoutSignal() {
    const timespec at_once{};
    while (::sigtimedwait(&signal_, nullptr, &at_once) > 0) {
    }
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

SignalReader::SignalReader() {
    const sigset_t signals = signals_of_worker();
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = asyncio::lowlevel::Fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!descriptor_) throw asyncio::OsError(errno, "signalfd");
}

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

}  // namespace batch
