#include "batch/attempt.h"

#include <chrono>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

namespace batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// How long the end of a pipe is waited for when its command has ended. What a command wrote is
/// there by then; whoever still holds the pipe is none of its group.
constexpr Duration drain_limit = 50ms;

constexpr std::string_view terminal_refused =
    "asyncio batch: the command asked the terminal for input, which it cannot have "
    "without --tty: it was ended\n";

/// Reads `pipe` to its end. The reader is a part of this coroutine, so it lives as long as the task
/// does, whatever becomes of those who started it.
///
/// Bytes are counted here, where they come: with `--line-buffer` they are taken from the job while
/// it runs.
Coro<> collect(StreamReader pipe, Job& job, const Launch& launch, Stream stream) {
    if (!pipe) co_return;
    const bool is_output = stream == Stream::output;
    Blocks& blocks = is_output ? job.output : job.errors;
    std::size_t& bytes = is_output ? job.output_bytes : job.error_bytes;
    const auto add = [&](std::string piece) {
        if (launch.has_written) launch.has_written(stream, piece);
        bytes += piece.size();
        blocks.append(std::move(piece));
    };
    try {
        for (;;) {
            std::string piece = co_await pipe.read(Blocks::block_bytes);
            if (piece.empty()) co_return;
            add(std::move(piece));
        }
    } catch (const CancelledError&) {
        add(pipe.take_buffered());
        throw;
    }
}

Coro<> drain(const Task<>& output, const Task<>& errors) {
    if (output.done() && errors.done()) co_return;
    try {
        co_await wait_for(gather(output, errors), drain_limit);
    } catch (const TimeoutError&) {
    }
}

}  // namespace

Coro<> Attempt::run() {
    const std::string mark = settings_.children.next_mark();
    Process process = co_await start(mark);
    shell_ = process.pid();
    const Children::Shell shell(settings_.children, shell_,
                                [this](int signal) { has_stopped(signal); });
    batch_goes_on();
    job_.status = Status::running;
    job_.started = std::chrono::system_clock::now();
    job_.output.clear();
    job_.errors.clear();
    job_.output_bytes = 0;
    job_.error_bytes = 0;
    job_.started_at = settings_.clock.now();
    const Task<> output =
        create_task(collect(std::move(process.stdout), job_, launch_, Stream::output));
    const Task<> errors =
        create_task(collect(std::move(process.stderr), job_, launch_, Stream::errors));
    const CommandProcesses processes(settings_.children, settings_.clock, process, mark);

    const Status end = co_await wait_for_end(process, processes);
    cancellable_ = false;
    int returncode = 0;
    if (end == Status::exited) returncode = co_await process.wait();
    const Duration grace = end == Status::exited ? Duration::zero() : settings_.limits.grace;
    returncode = co_await processes.end(grace, what_to_end(end, returncode));
    batch_stops();
    shell_ = 0;
    job_.seconds = settings_.clock.now() - job_.started_at;
    co_await drain(output, errors);
    record(end, returncode);
}

Coro<Process> Attempt::start(const std::string& mark) {
    std::vector<std::string> environment = launch_.environment;
    environment.push_back(mark);
    SubprocessOptions options{.stdin = DEVNULL,
                              .stdout = PIPE,
                              .stderr = PIPE,
                              .env = environment,
                              .process_group = 0,
                              .pass_fds = launch_.descriptors};
    if (settings_.foreground) {
        options.stdin = Stdio::fd(settings_.foreground->descriptor());
        options.stdout = INHERIT;
        options.stderr = INHERIT;
    }
    co_return co_await create_subprocess_shell(std::string(launch_.script), options);
}

/// `exited`, `timed_out` or `interrupted`: why the wait is over.
Coro<Status> Attempt::wait_for_end(const Process& process, const CommandProcesses& processes) {
    const auto time_left = [&] {
        std::optional<Duration> left = settings_.limits.timeout;
        if (left) *left -= settings_.clock.now() - job_.started_at;
        return left;
    };
    for (;;) {
        try {
            co_await wait_for(process.wait(), time_left());
            co_return Status::exited;
        } catch (const TimeoutError&) {
            if (processes.shell_has_ended()) co_return Status::exited;
            // The batch was stopped meanwhile, and the clock with it.
            if (*time_left() > Duration::zero()) continue;
            co_return Status::timed_out;
        } catch (const CancelledError&) {
            co_return processes.shell_has_ended() ? Status::exited : Status::interrupted;
        }
    }
}

void Attempt::has_stopped(int signal) {
    if (shell_ == 0) return;
    const bool has_terminal = settings_.foreground && settings_.foreground->has_it(shell_);
    const bool asked_terminal = signal == SIGTTIN || signal == SIGTTOU;
    if (asked_terminal && !has_terminal) return ask_terminal_in_vain(signal);
    // It has asked just before it was given the terminal.
    if (asked_terminal) ::kill(-shell_, SIGCONT);
    // Ctrl-Z went to the command alone. The guard passes it on to the whole batch.
    if (signal == SIGTSTP && has_terminal) ::kill(::getppid(), SIGTSTP);
}

/// A command in the background that asks the terminal is stopped by the kernel, and nobody would
/// ever continue it.
void Attempt::ask_terminal_in_vain(int signal) noexcept {
    const bool again = std::exchange(refused_terminal_, signal) != 0;
    ::kill(-shell_, again ? SIGKILL : SIGTERM);
    ::kill(-shell_, SIGCONT);
}

void Attempt::batch_stops() const noexcept {
    if (settings_.foreground && shell_ != 0) settings_.foreground->take_back(shell_);
}

void Attempt::batch_goes_on() const noexcept {
    if (settings_.foreground && shell_ != 0) settings_.foreground->lend(shell_);
}

/// A server that a command has started may serve the next command. But what was told to end leaves
/// nothing, and neither does a try that is followed by another.
CommandProcesses::Extent Attempt::what_to_end(Status end, int returncode) const noexcept {
    using Extent = CommandProcesses::Extent;
    if (end != Status::exited) return Extent::all;
    return settings_.limits.tries_again && returncode != 0 ? Extent::all : Extent::group;
}

void Attempt::record(Status end, int returncode) {
    job_.signal = returncode < 0 ? -returncode : 0;
    job_.exit_code = returncode < 0 ? 0 : returncode;
    job_.status = end == Status::exited && returncode < 0 ? Status::signalled : end;
    if (refused_terminal_ == 0) return;
    job_.errors.append(std::string(terminal_refused));
    job_.error_bytes += terminal_refused.size();
    if (job_.status == Status::signalled) job_.signal = refused_terminal_;
}

}  // namespace batch
