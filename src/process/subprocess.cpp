// The public face of child processes: waiting for one, talking to one, and starting one.
//
// The handle `Process` is thin. Everything that must outlive it, the watch for the child's end and
// the kept output, is in `ProcessState`, and each function that waits takes a reference to that. So
// a task may wait for a process whose handle another task moves or destroys.
//
// `communicate` does three things, in an order that matters. It gives the input to the writer,
// which sends it without any task. It reads both outputs to their ends, at the same time, while the
// input is still being sent: a child that writes before it has read everything would otherwise
// block, and the parent with it. It waits for the process last, because a child that closes its
// outputs may still run.

#include <asyncio/subprocess.h>

#include <asyncio/sleep.h>
#include <asyncio/timeout.h>

#include "process/group_members.h"
#include "process/process_state.h"
#include "process/spawn.h"
#include "process/spawn_queue.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <csignal>
#include <utility>

namespace asyncio {
namespace internal {

// --- Waiting for the end ------------------------------------------------------------------------

ProcessWaiter::ProcessWaiter(Ref<ProcessState> process) : process_(std::move(process)) {}

ProcessWaiter::~ProcessWaiter() = default;

/// If the process has ended, this does not wait and is no cancellation point.
bool ProcessWaiter::await_ready() const noexcept { return process_->returncode().has_value(); }

/// Called before the task parks. A task of another loop is refused, since the state would wake it
/// on the wrong thread.
lowlevel::Line& ProcessWaiter::line() {
    process_->require_loop_of(task("Process::wait()"), "Process::wait()");
    return process_->line();
}

/// A cancellation that took the waiter out of the line is thrown here.
int ProcessWaiter::await_resume() {
    resumed();
    const std::optional<int> status = process_->returncode();
    assert(status.has_value() && "a wait must end after the process has ended");
    return *status;
}

namespace {

/// A cancellation may come at either `co_await`. The bytes that were read are then in the state,
/// and a second call goes on from there.
Coro<Process::Output> communicate(Ref<ProcessState> process, std::string input) {
    constexpr auto function = "Process::communicate()";
    process->require_loop_of(running_task(function), function);
    process->feed(std::move(input));
    co_await ProcessState::receive_outputs(process);
    co_await ProcessWait(process);
    co_return process->take_output();
}

/// The distances between two looks at a group: the first, and the longest. They grow, because a
/// program that needs longer than a few milliseconds to clean up usually needs much longer.
constexpr Duration first_pause = std::chrono::milliseconds(5);
constexpr Duration longest_pause = std::chrono::milliseconds(50);

/// First waits for the process, whose end is an event. The end of the rest of its group is no
/// event, so the function then asks for it again and again.
Coro<> wait_until_group_has_gone(Ref<ProcessState> process) {
    co_await ProcessWait(process);
    GroupMembers members(process->pid());
    for (Duration pause = first_pause; process->group_is_left() && members.any_is_alive();
         pause = std::min(2 * pause, longest_pause)) {
        co_await sleep(pause);
    }
}

/// Kills a group when its grace ends, whatever ends it: the time, a cancellation, an error, or the
/// destruction of the frame that holds this object. A group that has gone is not affected.
class GraceOfGroup {
public:
    explicit GraceOfGroup(Ref<ProcessState> process) : process_(std::move(process)) {
        process_->begin_to_end_group();
    }
    GraceOfGroup(const GraceOfGroup&) = delete;
    GraceOfGroup& operator=(const GraceOfGroup&) = delete;
    ~GraceOfGroup() { process_->kill_group(); }

private:
    Ref<ProcessState> process_;
};

Coro<int> end_group(Ref<ProcessState> process, Duration grace) {
    constexpr auto function = "Process::end_group()";
    process->require_loop_of(running_task(function), function);
    {
        const GraceOfGroup kills_at_its_end(process);
        if (grace > Duration::zero()) {
            process->send_signal_to_group(SIGTERM);
            process->send_signal_to_group(SIGCONT);
            co_await move_on_after(grace, [&] { return wait_until_group_has_gone(process); });
        }
    }
    co_return co_await ProcessWait(process);
}

/// The request is checked before the task yields, so a mistake of the caller is reported at once.
/// After the wait nothing suspends: a call that is cancelled has started no program.
Coro<Process> start(SpawnRequest request, const char* function) {
    EventLoop& loop = face_of(running_task(function).loop());
    request.check();
    co_await SpawnQueue();
    co_return ProcessState::start(loop, request);
}

}  // namespace
}  // namespace internal

ProcessWait::ProcessWait(internal::Ref<internal::ProcessState> process) noexcept
    : process_(std::move(process)) {}
ProcessWait::ProcessWait(const ProcessWait&) noexcept = default;
ProcessWait::~ProcessWait() = default;

internal::ProcessWaiter ProcessWait::operator co_await() const {
    return internal::ProcessWaiter(process_);
}

// --- The handle ---------------------------------------------------------------------------------

Process::Process(internal::Ref<internal::ProcessState> state, StreamWriter input,
                 StreamReader output, StreamReader errors) noexcept
    : stdin(std::move(input)),
      stdout(std::move(output)),
      stderr(std::move(errors)),
      state_(std::move(state)) {}

Process::Process(Process&& other) noexcept = default;

/// The process to which the handle referred is dropped first, and killed if it runs.
Process& Process::operator=(Process&& other) noexcept {
    if (this == &other) return *this;
    drop();
    stdin = std::move(other.stdin);
    stdout = std::move(other.stdout);
    stderr = std::move(other.stderr);
    state_ = std::move(other.state_);
    return *this;
}

Process::~Process() { drop(); }

/// An empty handle (moved from) has nothing to end.
void Process::drop() noexcept {
    if (!state_) return;
    // The process is killed first, so that it cannot take the closed pipe for the end of its input.
    state_->drop();
    // Aborted, and not only dropped: dropping a writer with buffered bytes logs a warning in debug
    // mode, and bytes for a process that was killed are no mistake.
    stdin.abort();
}

internal::ProcessState& Process::state() const {
    if (!state_) internal::throw_empty("Process");
    return *state_;
}

internal::Ref<internal::ProcessState> Process::shared_state() const {
    return internal::Ref<internal::ProcessState>::share(&state());
}

int Process::pid() const { return state().pid(); }

std::optional<int> Process::returncode() const { return state().returncode(); }

ProcessWait Process::wait() const { return ProcessWait(shared_state()); }

Coro<Process::Output> Process::communicate(std::string input) {
    return internal::communicate(shared_state(), std::move(input));
}

Process::Output Process::take_output() { return state().take_output(); }

void Process::send_signal(int signal_number) const { state().send_signal(signal_number); }

void Process::terminate() const { send_signal(SIGTERM); }

void Process::kill() const { send_signal(SIGKILL); }

void Process::send_signal_to_group(int signal_number) const {
    state().send_signal_to_group(signal_number);
}

Coro<int> Process::end_group(Delay grace) const {
    return internal::end_group(shared_state(), grace);
}

// --- Starting programs --------------------------------------------------------------------------

/// The request is made here and not in the coroutine: the options hold views, which need not
/// outlive this call, and the coroutine starts when it is awaited.
Coro<Process> create_subprocess_exec(std::vector<std::string> arguments,
                                     SubprocessOptions options) {
    return internal::start(internal::SpawnRequest(std::move(arguments), options),
                           "asyncio::create_subprocess_exec()");
}

Coro<Process> create_subprocess_shell(std::string command, SubprocessOptions options) {
    // Behind `--` a command may begin with a dash or a plus and is no option of the shell.
    std::vector<std::string> arguments{"/bin/sh", "-c", "--"};
    arguments.push_back(std::move(command));
    return internal::start(internal::SpawnRequest(std::move(arguments), options),
                           "asyncio::create_subprocess_shell()");
}

}  // namespace asyncio
