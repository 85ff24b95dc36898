#include <asyncio/subprocess.h>

#include "process/process_state.h"
#include "process/spawn.h"
#include "process/spawn_turn.h"

#include <cassert>
#include <csignal>
#include <utility>

namespace asyncio {
namespace internal {

// --- Waiting for the end ------------------------------------------------------------------------

ProcessWaiter::ProcessWaiter(Ref<ProcessState> process) : process_(std::move(process)) {
    place_.waiter = this;
}

ProcessWaiter::~ProcessWaiter() = default;

bool ProcessWaiter::await_ready() const noexcept { return process_->returncode().has_value(); }

void ProcessWaiter::stand_in_line() {
    process_->require_loop_of(task("Process::wait()"), "Process::wait()");
    process_->line().push_back(place_);
}

lowlevel::Waiter::Abort ProcessWaiter::abort(lowlevel::Waiter& waiter, std::string_view) noexcept {
    auto& self = static_cast<ProcessWaiter&>(waiter);
    if (!self.place_.linked()) return Abort::too_late;
    self.place_.unlink();
    return Abort::removed;
}

int ProcessWaiter::await_resume() {
    resumed();
    const std::optional<int> status = process_->returncode();
    assert(status.has_value() && "a wait ends with the process");
    return *status;
}

namespace {

Coro<Process::Output> communicate(Ref<ProcessState> process, std::string input) {
    constexpr auto function = "Process::communicate()";
    process->require_loop_of(running_task(function), function);
    process->feed(std::move(input));
    co_await ProcessState::receive_outputs(process);
    co_await ProcessWait(process);
    co_return process->take_output();
}

Coro<Process> start(SpawnRequest request, const char* function) {
    EventLoop& loop = running_task(function).loop();
    request.check();
    co_await SpawnTurn();
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

void Process::drop() noexcept {
    if (!state_) return;
    state_->drop();
    // Not only dropped: that would be worth a warning if something is buffered for a dead process.
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

// --- Starting programs --------------------------------------------------------------------------

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
