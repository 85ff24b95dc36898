// A child process: its end, its signals, and the exchange of its input and output.
//
// How the end is learnt. A poll operation on the child's pidfd is in flight from the start. When
// the back-end reports it, `reap` collects the status with waitid(2), sets the return code, and
// wakes the tasks that wait. No task takes part, so a child is reaped whether a task waits for it
// or not.
//
// The report and the status can disagree, and then `look_again_later` asks again every 5 ms:
//  - A debugger traces the child. The kernel gives the status to the debugger first, and waitid
//    finds nothing until the debugger has taken it.
//  - The back-end refused or ended the poll (ENOMEM). The child may still run, and no event will
//    tell of its end.
//
// If the status cannot be had at all (ECHILD), other code of the program has taken it, with
// waitpid(−1) or by ignoring SIGCHLD. The return code is then 255, as in Python, and the loss is
// reported to the loop's exception handler.
//
// Ending the group. If the options ask for it, the rest of the child's group is killed in the
// moment between the child's end and its reaping. This moment is the only safe one: the zombie
// keeps its number, and the number of the group is the same. After the reaping both may belong to
// other processes. (A kernel from 6.9 on can signal the group through the pidfd, also later.)
//
// References. The handle `Process` has one, each task that waits has one, the poll in flight has
// one, and so has the alarm that looks again. So the state outlives all of them, and the child is
// never forgotten.
//
// The end of the loop. The loop tells every state (`loop_closes`). A child that still runs is
// killed, and the loop waits for the poll as it waits for every operation: a killed child ends
// soon. A child that cannot be killed, because it has changed its user, is not waited for. For a
// child whose poll had no memory, the poll is submitted once more. If that fails, too,
// `reap_killed` asks a few times for the status.

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

/// The return code that a shell, and Python, report when they cannot know it.
constexpr int unknown_returncode = 255;

/// The distance between two looks for a status that cannot be waited for.
constexpr Duration retry_interval = std::chrono::milliseconds(5);

/// waitid(2) without blocking. The answer 0 with `si_pid` 0 means that the process has not ended.
/// The manual leaves open what the call writes then, so `info` is cleared before.
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
    // Everything that the end of the process will need is a member, so that it needs no memory.
    exit_poll_.kind = lowlevel::OperationKind::poll;
    exit_poll_.events = POLLIN;
    exit_poll_.on_finished = &exit_reported;
    exit_poll_.process = this;
    AtClose::run = &loop_closes;
    // Last, when nothing can throw any more: from here on the loop tells this object of its end.
    loop.at_close().push_back(*this);
}

ProcessState::~ProcessState() {
    if (AtClose::linked()) AtClose::unlink();
}

/// The state is made before the child: after the child there is nothing left that could fail
/// without an owner for it. If the streams cannot be made, the child is killed, and the loop reaps
/// it.
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

/// From here on the child is watched, whatever happens to the handle.
void ProcessState::adopt(Spawned& child) noexcept {
    pid_ = child.pid;
    pidfd_ = std::move(child.pidfd);
    exit_poll_.fd = pidfd_.get();
    watch();
}

/// The streams get names like "stdin of process 7 (cat)", which stand in their errors. The state
/// keeps aliases, second handles that do not own: `communicate` uses them, and works although the
/// `Process` may be moved meanwhile.
Process ProcessState::open_streams(const SpawnRequest& request, Spawned& child) {
    StreamWriter input;
    StreamReader output;
    StreamReader errors;
    const auto open = [&](int index, auto& stream, const char* what) {
        lowlevel::Fd& end = child.pipes[static_cast<std::size_t>(index)];
        // No pipe: the stream stays empty, and the program sees that it is false.
        if (!end) return;
        const std::string called = what + name();
        stream = std::remove_reference_t<decltype(stream)>(
            loop_, std::move(end), {.limit = request.limit, .name = called});
    };
    open(0, input, "stdin of ");
    open(1, output, "stdout of ");
    open(2, errors, "stderr of ");
    // Before the streams move into the handle.
    stdin_ = input.alias();
    stdout_ = output.alias();
    stderr_ = errors.alias();
    return Process(Ref<ProcessState>::share(this), std::move(input), std::move(output),
                   std::move(errors));
}

/// For messages. Made when it is needed and not kept: most processes never appear in one.
std::string ProcessState::name() const {
    return "process " + std::to_string(pid_) + " (" + program_ + ")";
}

/// After the end every loop may ask: the answer is a number that does not change any more.
void ProcessState::require_loop_of(TaskCore& task, const char* function) const {
    if (returncode_ || &task.loop() == &loop_) return;
    throw RuntimeError(std::string(function) + ": " + name() + " belongs to another event loop");
}

// --- The end ------------------------------------------------------------------------------------

/// Puts the poll into flight. The reference is the operation's; `exit_reported` gives it back.
void ProcessState::watch() noexcept {
    retain();
    if (loop_.submit(exit_poll_) == lowlevel::Backend::Submitted::finished)
        exit_reported(exit_poll_);
}

/// The poll has ended. Usually the process has, too. The poll may also have been cancelled by the
/// loop's end, or refused by a kernel without memory.
void ProcessState::exit_reported(lowlevel::Operation& operation) noexcept {
    ProcessState& self = *static_cast<ExitPoll&>(operation).process;
    if (!self.returncode_ && !self.reap() && operation.result != -ECANCELED)
        self.look_again_later();
    self.release();
}

/// At most one look is pending, and it holds a reference.
void ProcessState::look_again_later() noexcept {
    if (is_alarm_set()) return;
    retain();
    try {
        ring_after(retry_interval);
    } catch (const std::bad_alloc&) {
        // `ring_soon` rings earlier than needed, but it needs no memory.
        ring_soon();
    }
}

/// A closed loop cannot look again later, so the status is collected now.
void ProcessState::alarm_rings() noexcept {
    if (loop_.is_closed()) {
        reap_killed();
    } else if (!returncode_ && !reap()) {
        look_again_later();
    }
    release();
}

/// The loop has closed without memory for a last wait. The process was killed a moment ago, so its
/// end is near. The loop cannot wait any more, so this function asks again and again, for 200 ms at
/// most. A process that has not ended by then is left to the system, which reaps the children of a
/// process that ends.
void ProcessState::reap_killed() noexcept {
    const TimePoint last = Clock::now() + std::chrono::milliseconds(200);
    while (!returncode_ && !reap() && Clock::now() < last) std::this_thread::yield();
}

/// Looks without reaping (WNOWAIT): the child keeps its number.
bool ProcessState::has_ended() const noexcept {
    siginfo_t info;
    return exit_status(pidfd_.get(), info, WNOWAIT) == 0 && info.si_pid != 0;
}

/// Collects the status. False if the process still runs, or its status cannot be had yet. A process
/// that a signal ended gets −N, as in Python.
bool ProcessState::reap() noexcept {
    // Before the status is collected, because afterwards the number of the group may belong to
    // others. A process of the group that forks at this moment is killed with its child: the kernel
    // signals the whole group at once.
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

/// Without memory for the name of the process, the report is a fixed text.
void ProcessState::report_lost_status() noexcept {
    try {
        const std::string message =
            "the exit status of " + name() +
            " was collected by other code; the return code is reported as 255";
        loop_.call_exception_handler({.message = message});
    } catch (const std::bad_alloc&) {
        loop_.call_exception_handler({.message = "the exit status of a process was collected by "
                                                 "other code; the return code is reported as 255"});
    }
}

/// The process is reaped: its number may belong to another process from now on, so no signal is
/// sent by number any more (`returncode_` is set).
void ProcessState::ended(int returncode) noexcept {
    returncode_ = returncode;
    // The pidfd also names the group. It is kept if the rest of the group may still get signals.
    if (!has_group_ || ends_group_) pidfd_.reset();
    while (!line_.empty()) line_.front().wake();
}

/// Without a handle no code can wait for the process or end it. So it is killed now, as Python's
/// transport does; the poll in flight reaps it.
void ProcessState::drop() noexcept {
    if (!returncode_) signal_child(SIGKILL);
}

/// Called once, when the loop begins to close. The loop then waits for the operations in flight.
void ProcessState::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<ProcessState&>(listener);
    // Without a poll in flight the loop would not wait for this child.
    const bool watched = self.exit_poll_.state == lowlevel::Operation::State::in_flight;
    if (self.returncode_) return;
    // A process that has become another user's cannot be killed, and so cannot be waited for
    // either.
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

/// 0, or an errno. ESRCH means that no process is left, or that none can be named safely.
int ProcessState::signal_group(int signal_number) noexcept {
    if (!pidfd_) return ESRCH;
    if (send_signal_to_pidfd(pidfd_.get(), signal_number, pidfd_signal_process_group) == 0)
        return 0;
    if (errno != EINVAL) return errno;
    // A kernel before 6.9 does not know the flag. While the leader is not reaped, the number of the
    // group is certain.
    if (returncode_) return ESRCH;
    return ::kill(-pid_, signal_number) == 0 ? 0 : errno;
}

/// A process that has ended is no error (ESRCH): the caller cannot know it any earlier.
void ProcessState::check_sent(int error, int signal_number) const {
    if (error != 0 && error != ESRCH)
        throw OsError(error, "send signal " + std::to_string(signal_number) + " to " + name());
}

/// After the reaping there is no process to which a signal could go. Before it, a process that has
/// ended takes the signal without effect.
void ProcessState::send_signal(int signal_number) {
    if (!returncode_) check_sent(signal_child(signal_number), signal_number);
}

/// Without a group of its own the child shares this process's group, and the signal would reach the
/// program itself.
void ProcessState::require_group() const {
    if (!has_group_)
        throw RuntimeError(name() + " has no process group of its own; start it with "
                                    "start_new_session or process_group = 0");
}

void ProcessState::send_signal_to_group(int signal_number) {
    require_group();
    check_sent(signal_group(signal_number), signal_number);
}

/// Signal 0 is sent to no process; the call only looks.
bool ProcessState::group_is_left() noexcept { return signal_group(0) != ESRCH; }

/// EINVAL is the answer of a kernel before 6.9 to the flag.
void ProcessState::begin_to_end_group() {
    require_group();
    if (returncode_) return;
    if (send_signal_to_pidfd(pidfd_.get(), 0, pidfd_signal_process_group) != 0 && errno == EINVAL)
        ends_group_ = true;
}

// --- Input and output ---------------------------------------------------------------------------

/// Gives the input to the writer and closes it. The writer needs no task, so the input goes on also
/// when `communicate` is cancelled. A second `communicate` therefore has no input to give.
void ProcessState::feed(std::string input) {
    if (!input.empty() && !stdin_)
        throw std::invalid_argument("communicate: there is input, but stdin is not a pipe: " +
                                    name());
    if (!input.empty() && has_communicated_)
        throw std::invalid_argument("communicate: the input was given in an earlier call");
    has_communicated_ = true;
    if (!stdin_) return;
    // The writer goes on by itself. An error of it (EPIPE) is not reported: a process need not read
    // its input.
    stdin_.write(std::move(input));
    stdin_.close();
}

/// Reads one output to its end. The bytes go to the state and not to the caller, so they are there
/// for a second `communicate` if the other output is cancelled.
Coro<> ProcessState::receive(Ref<ProcessState> process, std::string Process::Output::* part) {
    const bool is_stdout = part == &Process::Output::stdout;
    StreamReader& reader = is_stdout ? process->stdout_ : process->stderr_;
    std::string text = co_await reader.read();
    std::string& all = process->output_.*part;
    // Usually there is one read, whose text is moved: 200 MB of output exist once.
    all.empty() ? all.swap(text) : void(all += text);
}

/// Reads both outputs at the same time: a child that fills one pipe while the parent reads only the
/// other would wait for ever. If one read fails, for example because another task reads that pipe
/// already, the other is cancelled, because it may never end. Its bytes are kept for the next call.
Coro<> ProcessState::receive_both(Ref<ProcessState> process) {
    // Tasks, because both have to run at the same time and each must be cancellable alone.
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

/// Streams that the program has closed, or that are no pipes, are left out.
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

/// The bytes come from two places: what was read to its end, and what a cancelled read has left in
/// its stream.
Process::Output ProcessState::take_output() {
    Process::Output taken = std::exchange(output_, {});
    if (stdout_) taken.stdout += stdout_.take_buffered();
    if (stderr_) taken.stderr += stderr_.take_buffered();
    return taken;
}

}  // namespace asyncio::internal
