#include "batch/stop_signals.h"

#include <atomic>
#include <csignal>

#include <sys/prctl.h>
#include <unistd.h>

namespace batch {
namespace {

// A signal handler finds its way only through statics. All of them are lock-free.
std::atomic<pid_t> guard_process{0};
std::atomic<int> first_request{0};
std::atomic<bool> interrupted{false};
std::atomic<void (*)(int)> handler_of_library{nullptr};

bool guard_is_alive() noexcept { return ::getppid() == guard_process.load(); }

void on_stop_request(int signal) {
    int none = 0;
    if (first_request.compare_exchange_strong(none, signal)) ::raise(SIGINT);
}

void on_interrupt(int signal) {
    if (interrupted.exchange(true) && !guard_is_alive()) return;
    handler_of_library.load()(signal);
}

bool is_ignored(int signal) noexcept {
    struct sigaction action{};
    ::sigaction(signal, nullptr, &action);
    return action.sa_handler == SIG_IGN;
}

void handle(int signal, void (*handler)(int)) noexcept {
    struct sigaction action{};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
}

}  // namespace

bool listen_to_stop_signals(pid_t guard) noexcept {
    guard_process = guard;
    // A shell without job control starts background jobs with SIGINT ignored. Then no Ctrl-C comes
    // through the guard, but the other requests still end in a SIGINT.
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, &on_stop_request);
    // `nohup` wants a batch to outlive its terminal.
    if (!is_ignored(SIGHUP)) handle(SIGHUP, &on_stop_request);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    return guard_is_alive();
}

void take_over_interrupts() noexcept {
    struct sigaction action{};
    ::sigaction(SIGINT, nullptr, &action);
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) return;
    handler_of_library = action.sa_handler;
    action.sa_handler = &on_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
}

int stop_signal() noexcept {
    const int signal = first_request.load();
    return signal != 0 ? signal : SIGINT;
}

}  // namespace batch
