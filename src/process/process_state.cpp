#include "process/process_state.h"

#include <asyncio/exceptions.h>
#include <asyncio/gather.h>

#include "process/pidfd.h"

#include <cerrno>
#include <csignal>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <poll.h>
#include <sys/wait.h>

namespace asyncio::internal {
namespace {

/// What a shell, and Python, say when they cannot know.
constexpr int unknown_returncode = 255;

/// How often to look for a status that cannot be waited for.
constexpr Duration retry_interval = std::chrono::milliseconds(5);

int exit_status(int pidfd, siginfo_t& info, int options) noexcept {
    info = {};
    return ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG | options) == 0
               ? 0
               : errno;
}

}  // namespace

// --- The beginning ------------------------------------------------------------------------------

ProcessState::ProcessState(EventLoop& loop, const SpawnRequest& request)
    : Alarm(loop),
      loop_(loop),
      program_(request.arguments.front()),
      has_group_(request.makes_group()),
      ends_group_(request.end_group_at_exit) {
    exit_poll_.kind = lowlevel::OperationKind::poll;
    exit_poll_.events = POLLIN;
    exit_poll_.on_finished = &exit_reported;
    exit_poll_.process = this;
    AtClose::run = &loop_closes;
    loop.at_close().push_back(*this);
}

ProcessState::~ProcessState() {
    if (AtClose::linked()) AtClose::unlink();
}

Process ProcessState::start(EventLoop& loop, const SpawnRequest& request) {
    const auto state = Ref<ProcessState>::adopt(new ProcessState(loop, request));
    Spawned child = spawn(request);
    state->adopt(child);
    try {
        return state->open_streams(request, child);
    } catch (...) {
        state->drop();
        throw;
    }
}

void ProcessState::adopt(Spawned& child) noexcept {
    pid_ = child.pid;
    pidfd_ = std::move(child.pidfd);
    exit_poll_.fd = pidfd_.get();
    watch();
}

Process ProcessState::open_streams(const SpawnRequest& request, Spawned& child) {
    StreamWriter input;
    StreamReader output;
    StreamReader errors;
    const auto open = [&](int index, auto& stream, const char* what) {
        lowlevel::Fd& end = child.pipes[static_cast<std::size_t>(index)];
        if (!end) return;
        const std::string called = what + name();
        stream = std::remove_reference_t<decltype(stream)>(
            loop_, std::move(end), {.limit = request.limit, .name = called});
    };
    open(0, input, "stdin of ");
    open(1, output, "stdout of ");
    open(2, errors, "stderr of ");
    stdin_ = input.alias();
    stdout_ = output.alias();
    stderr_ = errors.alias();
    return Process(Ref<ProcessState>::share(this), std::move(input), std::move(output),
                   std::move(errors));
}

std::string ProcessState::name() const {
    return "process " + std::to_string(pid_) + " (" + program_ + ")";
}

void ProcessState::require_loop_of(TaskCore& task, const char* function) const {
    if (returncode_ || &task.loop() == &loop_) return;
    throw RuntimeError(std::string(function) + ": " + name() + " belongs to another event loop");
}

// --- The end ------------------------------------------------------------------------------------

void ProcessState::watch() noexcept {
    retain();
    if (loop_.submit(exit_poll_) == lowlevel::Backend::Submitted::finished)
        exit_reported(exit_poll_);
}

/// The operation may have ended without the process: cancelled by the loop's end, or refused by a
/// kernel without memory.
void ProcessState::exit_reported(lowlevel::Operation& operation) noexcept {
    ProcessState& self = *static_cast<ExitPoll&>(operation).process;
    if (!self.returncode_ && !self.reap() && operation.result != -ECANCELED)
        self.look_again_later();
    self.release();
}

void ProcessState::look_again_later() noexcept {
    if (is_alarm_set()) return;
    retain();
    try {
        ring_after(retry_interval);
    } catch (const std::bad_alloc&) {
        ring_soon();  // earlier than needed, which takes no memory
    }
}

void ProcessState::alarm_rings() noexcept {
    if (loop_.is_closed()) {
        reap_killed();
    } else if (!returncode_ && !reap()) {
        look_again_later();
    }
    release();
}

/// The loop has closed without memory for a last wait. The process was killed a moment ago, so its
/// end is near; one that does not end is left to whoever reaps what this process leaves.
void ProcessState::reap_killed() noexcept {
    const TimePoint last = Clock::now() + std::chrono::milliseconds(200);
    while (!returncode_ && !reap() && Clock::now() < last) std::this_thread::yield();
}

bool ProcessState::has_ended() const noexcept {
    siginfo_t info;
    return exit_status(pidfd_.get(), info, WNOWAIT) == 0 && info.si_pid != 0;
}

/// False if the process runs, or its status cannot be had yet.
bool ProcessState::reap() noexcept {
    if (ends_group_ && has_ended()) signal_group(SIGKILL);
    siginfo_t info;
    const int error = exit_status(pidfd_.get(), info, 0);
    if (error != 0) {
        report_lost_status();
        ended(unknown_returncode);
        return true;
    }
    if (info.si_pid == 0) return false;
    ended(info.si_code == CLD_EXITED ? info.si_status : -info.si_status);
    return true;
}

void ProcessState::report_lost_status() noexcept {
    try {
        const std::string message = "the exit status of " + name() +
                                    " was collected by somebody else; it is taken to be 255";
        loop_.call_exception_handler({.message = message});
    } catch (const std::bad_alloc&) {
        loop_.call_exception_handler(
            {.message = "the exit status of a process was collected by somebody else; it is taken "
                        "to be 255"});
    }
}

void ProcessState::ended(int returncode) noexcept {
    returncode_ = returncode;
    // Those who are left of a group can still be reached through its leader's pidfd.
    if (!has_group_ || ends_group_) pidfd_.reset();
    line_.for_each([this](ProcessWaiter::Place& place) {
        place.unlink();
        loop_.schedule(place.waiter->task());
    });
}

void ProcessState::drop() noexcept {
    if (!returncode_) signal_child(SIGKILL);
}

void ProcessState::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<ProcessState&>(listener);
    const bool watched = self.exit_poll_.state == lowlevel::Operation::State::in_flight;
    if (self.returncode_) return;
    // What cannot be killed, because it has become another user's, cannot be waited for either.
    if (self.signal_child(SIGKILL) != EPERM) {
        if (!watched) self.watch();  // there was no memory for it before
    } else if (watched) {
        self.loop_.cancel(self.exit_poll_);
    }
}

// --- Signals ------------------------------------------------------------------------------------

/// 0, or an errno.
int ProcessState::signal_child(int signal_number) noexcept {
    return send_signal_to_pidfd(pidfd_.get(), signal_number, 0) == 0 ? 0 : errno;
}

int ProcessState::signal_group(int signal_number) noexcept {
    if (!pidfd_) return ESRCH;
    if (send_signal_to_pidfd(pidfd_.get(), signal_number, pidfd_signal_process_group) == 0)
        return 0;
    if (errno != EINVAL) return errno;
    // An older kernel does not know the flag. While the leader is not reaped, the number will do.
    if (returncode_) return ESRCH;
    return ::kill(-pid_, signal_number) == 0 ? 0 : errno;
}

void ProcessState::check_sent(int error, int signal_number) const {
    if (error != 0 && error != ESRCH)
        throw OsError(error, "send signal " + std::to_string(signal_number) + " to " + name());
}

void ProcessState::send_signal(int signal_number) {
    if (!returncode_) check_sent(signal_child(signal_number), signal_number);
}

void ProcessState::send_signal_to_group(int signal_number) {
    if (!has_group_) throw RuntimeError(name() + " has no group of its own");
    check_sent(signal_group(signal_number), signal_number);
}

// --- Input and output ---------------------------------------------------------------------------

void ProcessState::feed(std::string input) {
    if (!input.empty() && !stdin_)
        throw std::invalid_argument("communicate: there is input, but no pipe to " + name());
    if (!input.empty() && has_communicated_)
        throw std::invalid_argument("communicate: the input was given in an earlier call");
    has_communicated_ = true;
    if (!stdin_) return;
    // The writer goes on by itself, and keeps it to itself if nobody reads.
    stdin_.write(std::move(input));
    stdin_.close();
}

Coro<> ProcessState::receive(Ref<ProcessState> process, std::string Process::Output::* part) {
    const bool is_stdout = part == &Process::Output::stdout;
    StreamReader& reader = is_stdout ? process->stdout_ : process->stderr_;
    std::string text = co_await reader.read();
    std::string& all = process->output_.*part;
    all.empty() ? all.swap(text) : void(all += text);
}

/// When one fails, as with a pipe that another task reads already, the other does not go on to an
/// end that may never come. What it has read is kept for the next call.
Coro<> ProcessState::receive_both(Ref<ProcessState> process) {
    const Task<> output = create_task(receive(process, &Process::Output::stdout));
    const Task<> errors = create_task(receive(process, &Process::Output::stderr));
    const Outcome<void> ends = co_await settle(gather(output, errors));
    if (!ends.has_value()) {
        output.cancel();
        errors.cancel();
        co_await gather_settled(output, errors);
    }
    ends.value();
}

Coro<> ProcessState::receive_outputs(Ref<ProcessState> process) {
    const auto open = [](const StreamReader& reader) { return reader && !reader.is_closing(); };
    const bool has_stdout = open(process->stdout_);
    const bool has_stderr = open(process->stderr_);
    if (has_stdout && has_stderr) {
        co_await receive_both(process);
    } else if (has_stdout || has_stderr) {
        co_await receive(process, has_stdout ? &Process::Output::stdout : &Process::Output::stderr);
    }
}

Process::Output ProcessState::take_output() {
    Process::Output taken = std::exchange(output_, {});
    if (stdout_) taken.stdout += stdout_.take_buffered();
    if (stderr_) taken.stderr += stderr_.take_buffered();
    return taken;
}

}  // namespace asyncio::internal
