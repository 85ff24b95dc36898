#include "batch/guard.h"

#include "batch/descendants.h"
#include "batch/stop_signals.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batch {
namespace {

constexpr int other_error = 255;
constexpr int signal_base = 128;

/// The signals that the guard takes one by one, instead of being interrupted by them. One that is
/// ignored stays ignored: whoever started us wants it so.
sigset_t watched_signals() noexcept {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) {
        struct sigaction action{};
        ::sigaction(signal, nullptr, &action);
        if (action.sa_handler != SIG_IGN) sigaddset(&watched, signal);
    }
    return watched;
}

int work_under(pid_t guard, const std::function<int()>& work) {
    ::setpgid(0, 0);
    adopt_orphans();
    // A group in the background may be stopped for writing to its terminal (`stty tostop`), but not
    // if it blocks the signal. The commands do not inherit the mask.
    sigset_t terminal_output;
    sigemptyset(&terminal_output);
    sigaddset(&terminal_output, SIGTTOU);
    ::sigprocmask(SIG_BLOCK, &terminal_output, nullptr);
    if (!listen_to_stop_signals(guard)) return other_error;
    return work();
}

/// Ctrl-Z. The commands, in groups of their own, go on; their limits are seen to afterwards.
void stop_until_continued(pid_t worker) noexcept {
    ::kill(worker, SIGSTOP);
    ::raise(SIGSTOP);
    ::kill(worker, SIGCONT);
}

/// Waits for the end of the worker. Returns its wait status.
int watch_over(pid_t worker, const sigset_t& watched) noexcept {
    for (;;) {
        const int signal = ::sigwaitinfo(&watched, nullptr);
        int status = 0;
        if (signal == SIGCHLD) {
            if (::waitpid(worker, &status, WNOHANG) == worker) return status;
        } else if (signal == SIGTSTP) {
            stop_until_continued(worker);
        } else if (signal > 0) {
            ::kill(worker, signal);
        }
    }
}

}  // namespace

int guarded(const std::function<int()>& work) {
    // Ignored, it would make the kernel reap our children, and nobody would learn how they ended.
    ::signal(SIGCHLD, SIG_DFL);
    const sigset_t watched = watched_signals();
    sigset_t mask;
    ::sigprocmask(SIG_BLOCK, &watched, &mask);
    adopt_orphans();

    const pid_t guard = ::getpid();
    const pid_t worker = ::fork();
    if (worker < 0) {
        fmt::print(stderr, "asyncio: cannot start the worker: {}\n", std::strerror(errno));
        return other_error;
    }
    if (worker == 0) {
        ::sigprocmask(SIG_SETMASK, &mask, nullptr);
        return work_under(guard, work);
    }
    const int status = watch_over(worker, watched);
    if (!end_descendants()) fmt::print(stderr, "asyncio: a process could not be ended\n");
    return WIFEXITED(status) ? WEXITSTATUS(status) : signal_base + WTERMSIG(status);
}

}  // namespace batch
