#include "batch/guard.h"

#include "batch/descendants.h"
#include "batch/exit_status.h"
#include "batch/say.h"
#include "batch/signals.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace batch {
namespace {

using Work = std::function<int()>;

/// A child that is watched: it gets the signals that this process gets, and when it has been asked
/// to stop and does, this process stops as well.
class Watch {
public:
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

    /// The exit status of the child. If a signal has ended it, this process ends by the same one,
    /// unless the launcher wants it ignored.
    int end_likewise() const noexcept {
        if (WIFEXITED(status_)) return WEXITSTATUS(status_);
        const int end = WTERMSIG(status_);
        const bool is_request = request_ != 0 && (end == SIGKILL || end == heard_as(request_));
        const int signal = is_request ? request_ : end;
        if (!is_ignored(signal)) die_of(signal);
        return signal_base + signal;
    }

private:
    enum class Stop : std::uint8_t { none, asked, withdrawn };

    /// Other children are collected as well: the orphans of a container, if it is the first process
    /// there.
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

    /// What continues this process is passed on to the child like any signal.
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

    /// The second request does not ask any more, and does not rely on the worker.
    int next_request(int signal) noexcept {
        const bool is_first = request_ == 0;
        if (is_first) request_ = signal;
        return is_first && signal != SIGQUIT ? heard_as(signal) : SIGKILL;
    }

    /// The worker takes no notice of these two, which its own writing raises.
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

/// Returns 0 in the child.
pid_t start_process(const char* what) {
    const pid_t child = ::fork();
    if (child < 0)
        say_as_is(fmt::format("asyncio: cannot start the {}: {}\n", what, std::strerror(errno)));
    return child;
}

/// The child gets SIGTERM when its parent dies. False if the parent is dead already.
bool follow(pid_t parent) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    // A parent in another namespace has no number here.
    return ::getppid() == parent || ::getppid() == 0;
}

int work_under(pid_t guard, const Work& work) {
    ::setpgid(0, 0);
    adopt_orphans();
    if (!follow(guard)) return other_error;
    use_mask_of_worker();
    return work();
}

int guard(const Work& work, const sigset_t& signals) {
    adopt_orphans();
    const pid_t own = ::getpid();
    const pid_t worker = start_process("worker");
    if (worker < 0) return other_error;
    if (worker == 0) return work_under(own, work);
    Watch watch(worker, signals, Watch::Requests::counted);
    watch.run();
    if (!end_descendants()) say("a process could not be ended");
    return watch.end_likewise();
}

/// In a group of its own: what a terminal sends to this one reaches the guard once, from here.
int guard_behind(pid_t front, const Work& work, sigset_t signals) {
    ::setpgid(0, 0);
    sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    if (!follow(front)) return other_error;
    return guard(work, signals);
}

int stand_in_front(const Work& work, const sigset_t& signals) {
    const pid_t own = ::getpid();
    const pid_t child = start_process("guard");
    if (child < 0) return other_error;
    if (child == 0) return guard_behind(own, work, signals);
    Watch watch(child, signals, Watch::Requests::all_passed_on);
    watch.run();
    return watch.end_likewise();
}

bool has_children() noexcept {
    siginfo_t info{};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

}  // namespace

int guarded(const Work& work) {
    // Ignored, it would make the kernel reap our children, and nobody would learn how they ended.
    ::signal(SIGCHLD, SIG_DFL);
    sigset_t signals = signals_of_guard();
    const bool is_first_process = ::getpid() == 1;
    // Nothing stops the first process of a container, so it would not notice what continues it.
    if (is_first_process) sigdelset(&signals, SIGTSTP);
    ::sigprocmask(SIG_SETMASK, &signals, nullptr);
    if (has_children() || is_first_process) return stand_in_front(work, signals);
    return guard(work, signals);
}

}  // namespace batch
