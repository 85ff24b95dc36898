// How the guard and the front watch their child, pass signals on, and end in the same way.
//
// Both block the signals that they hear, and take them with sigwaitinfo. So there is no signal
// handler, and no signal is lost between a check and a wait. SIGCHLD is one of these signals, so
// the death of the child wakes the same wait.
//
// The guard counts requests to end. The first request is passed on: the worker ends the commands
// with their grace. The second request, and SIGQUIT, become SIGKILL for the worker, because the
// worker may be the part that hangs. The guard then ends the commands itself. The front does not
// count: the guard behind it does.
//
// Ctrl-Z needs care, because two processes must stop and the shell must see it. The guard passes
// SIGTSTP on and waits until the worker has stopped itself; only then it stops as well. If the
// guard stopped first, the shell would print its prompt while commands still write to the terminal.
// A SIGCONT may come before the worker has stopped; it takes the request back.

#include "guard/guard.h"

#include "exit_codes.h"
#include "guard/descendants.h"
#include "guard/signals.h"
#include "terminal/say.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tool {
namespace {

/// The work of the worker, and the subcommand that it belongs to.
struct Work {
    std::string_view command;
    const std::function<int()>& run;
};

/// Watches a child. The child gets the signals that this process gets. When the child was asked to
/// stop and has stopped, this process stops as well.
class Watch {
public:
    /// `counted`: the second request to end becomes SIGKILL.
    enum class Requests : std::uint8_t { all_passed_on, counted };

    Watch(pid_t child, const sigset_t& signals, Requests requests) noexcept
        : child_(child), signals_(signals), requests_(requests) {}

    /// Returns when the child has ended.
    void run() noexcept {
        while (!has_ended_) {
            const int signal = ::sigwaitinfo(&signals_, nullptr);
            if (signal == SIGCHLD) {
                look();
            } else if (signal > 0) {
                pass_on(signal);
            }
        }
    }

    /// The exit status of the child. If a signal has ended the child, this process ends by the same
    /// signal, unless the launcher has set the signal to be ignored.
    ///
    /// The child may have died of another signal than the one that was requested: of SIGKILL after
    /// the second request, or of the signal that stood for a request (`heard_as`). Then this
    /// process dies of the requested signal, because a shell expects to see that one.
    int end_likewise() const noexcept {
        if (WIFEXITED(status_)) return WEXITSTATUS(status_);
        const int end = WTERMSIG(status_);
        const bool is_request = request_ != 0 && (end == SIGKILL || end == heard_as(request_));
        const int signal = is_request ? request_ : end;
        if (!is_ignored(signal)) die_of(signal);
        return signal_base + signal;
    }

private:
    /// `asked`: SIGTSTP was passed on. `withdrawn`: then SIGCONT came before the child had stopped.
    enum class Stop : std::uint8_t { none, asked, withdrawn };

    /// Looks at the children after SIGCHLD. Other children are reaped as well: the first process of
    /// a container gets all orphans of the container.
    void look() noexcept {
        int status = 0;
        for (pid_t process = 0; (process = ::waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0;) {
            if (process != child_) continue;
            if (WIFSTOPPED(status)) {
                child_has_stopped();
            } else {
                has_ended_ = true;
                status_ = status;
            }
        }
    }

    /// The child has stopped. If it was asked to, this process stops too. The SIGCONT that
    /// continues this process is passed on to the child like any other signal.
    void child_has_stopped() noexcept {
        if (stop_ == Stop::asked) ::raise(SIGSTOP);
        if (stop_ == Stop::withdrawn) ::kill(child_, SIGCONT);
        stop_ = Stop::none;
    }

    void pass_on(int signal) noexcept {
        if (signal == SIGTSTP) stop_ = Stop::asked;
        if (signal == SIGCONT && stop_ == Stop::asked) stop_ = Stop::withdrawn;
        const bool is_request = requests_ == Requests::counted && asks_for_end(signal);
        ::kill(child_, is_request ? next_request(signal) : signal);
    }

    /// The signal for the child. The second request is SIGKILL, which does not depend on the
    /// worker.
    int next_request(int signal) noexcept {
        const bool is_first = request_ == 0;
        if (is_first) request_ = signal;
        return is_first && signal != SIGQUIT ? heard_as(signal) : SIGKILL;
    }

    /// The worker blocks SIGPIPE and SIGXFSZ, because its own writes raise them. As requests from
    /// outside they are passed on as SIGTERM.
    static int heard_as(int signal) noexcept {
        return signal == SIGPIPE || signal == SIGXFSZ ? SIGTERM : signal;
    }

    pid_t child_;
    sigset_t signals_;
    Requests requests_;
    Stop stop_ = Stop::none;
    /// The first signal that asked for the end.
    int request_ = 0;
    bool has_ended_ = false;
    int status_ = 0;
};

/// Forks, and reports a failure. Returns 0 in the child, −1 after a failure.
pid_t start_process(const char* what) {
    const pid_t child = ::fork();
    if (child < 0)
        say_as_is(fmt::format("asyncio: cannot start the {}: {}\n", what, std::strerror(errno)));
    return child;
}

/// Asks the kernel to send SIGTERM when the parent dies. Returns false if the parent is already
/// dead: then the signal would never come.
bool follow(pid_t parent) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    // A parent in another namespace has no number here.
    return ::getppid() == parent || ::getppid() == 0;
}

/// The beginning of the worker. The parent is checked after `adopt_orphans` and before any command
/// runs, so a guard that dies during the start leaves nothing behind.
int work_under(pid_t guard, const Work& work) {
    ::setpgid(0, 0);
    adopt_orphans();
    if (!follow(guard)) return other_error;
    use_mask_of_worker();
    return work.run();
}

/// The guard. It adopts orphans before the fork, so no orphan of the worker can escape.
int guard(const Work& work, const sigset_t& signals) {
    adopt_orphans();
    const pid_t own = ::getpid();
    const pid_t worker = start_process("worker");
    if (worker < 0) return other_error;
    if (worker == 0) return work_under(own, work);
    Watch watch(worker, signals, Watch::Requests::counted);
    watch.run();
    if (!end_descendants()) say(work.command, "a process could not be ended");
    return watch.end_likewise();
}

/// The guard behind a front. It has a process group of its own, so a signal of the terminal reaches
/// only the front, and the guard gets it once, from the front. SIGTERM must be in the set even if
/// the launcher ignores it: it reports the death of the front.
int guard_behind(pid_t front, const Work& work, sigset_t signals) {
    ::setpgid(0, 0);
    sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    if (!follow(front)) return other_error;
    return guard(work, signals);
}

/// The front. It adopts no orphans: it must not take those of the script that it replaces.
int stand_in_front(const Work& work, const sigset_t& signals) {
    const pid_t own = ::getpid();
    const pid_t child = start_process("guard");
    if (child < 0) return other_error;
    if (child == 0) return guard_behind(own, work, signals);
    Watch watch(child, signals, Watch::Requests::all_passed_on);
    watch.run();
    return watch.end_likewise();
}

/// Children at the start belong to the script that this program has replaced by exec.
bool has_children() noexcept {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

}  // namespace

int guarded(std::string_view command, const std::function<int()>& run) {
    const Work work{command, run};
    // If the launcher has set SIGCHLD to be ignored, the kernel reaps the children itself, and
    // their status is lost.
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t signals = signals_of_guard();
    const bool is_first_process = ::getpid() == 1;
    // SIGSTOP does not stop the first process of a container. So it must not take SIGTSTP: it would
    // stop its child and then wait for a stop of its own that never happens.
    if (is_first_process) sigdelset(&signals, SIGTSTP);
    ::sigprocmask(SIG_SETMASK, &signals, nullptr);
    if (has_children() || is_first_process) return stand_in_front(work, signals);
    return guard(work, signals);
}

}  // namespace tool
