// How one try of a command is started, watched and ended. attempt.h has the overview.
//
// Three tasks take part: the task of the workplace waits for the process, and two more read its
// pipes. The readers are tasks of their own because a command may write more than a pipe holds: if
// the outputs were read only after the end, such a command would never end.

#include "batch/run/attempt.h"

#include <chrono>
#include <csignal>
#include <string_view>
#include <utility>
#include <vector>

namespace tool::batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// How long an attempt waits for the end of the pipes after its command has ended. The bytes of the
/// command are in the pipe by then. A process that still holds the pipe is not in its group.
constexpr Duration drain_limit = 50ms;

constexpr std::string_view terminal_refused =
    "asyncio batch: the command was ended, because it asked the terminal for input; with --tty it "
    "gets the terminal\n";

/// Reads `pipe` to its end. This coroutine owns the reader, so the reader lives as long as the
/// task, even if the attempt that started the task has ended.
///
/// The bytes are counted here, when they arrive: with `--line-buffer` the bytes leave the job while
/// it runs, so its blocks do not tell how many there were.
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
        // `drain` has run into its limit. Bytes that the reader holds already belong to the job.
        add(pipe.take_buffered());
        throw;
    }
}

/// Waits for the readers, up to `drain_limit`. A limit is no failure: a daemon holds the pipe.
Coro<> drain(const Task<>& output, const Task<>& errors) {
    if (output.done() && errors.done()) co_return;
    try {
        co_await wait_for(gather(output, errors), drain_limit);
    } catch (const TimeoutError&) {
    }
}

}  // namespace

/// The shell is registered before this task waits again. Until then, `Children::look` would take a
/// shell that dies for an orphan, and would reap it.
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
    // From here to the end of the function no cancellation may come (see the header).
    cancellable_ = false;
    int returncode = 0;
    if (end == Status::exited) returncode = co_await process.wait();
    // A command that has ended by itself has had its time, so its leftovers get no grace.
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

/// Returns why the wait is over: `exited`, `timed_out` or `interrupted`. The loop repeats the wait
/// because the library's limit runs on the loop's clock, while a command's limit runs on `Clock`,
/// which stands still while the batch is stopped.
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

/// A signal has stopped the shell. With a terminal there are three cases: the command asked for the
/// terminal and cannot have it; it asked a moment too early; or the user typed Ctrl-Z.
void Attempt::has_stopped(int signal) {
    if (shell_ == 0) return;
    const bool has_terminal = settings_.foreground && settings_.foreground->has_it(shell_);
    const bool asked_terminal = signal == SIGTTIN || signal == SIGTTOU;
    if (asked_terminal && !has_terminal) return ask_terminal_in_vain(signal);
    // The command asked just before `batch_goes_on` lent it the terminal.
    if (asked_terminal) ::kill(-shell_, SIGCONT);
    // The terminal has sent Ctrl-Z to the command alone. The guard passes it on to the whole batch.
    if (signal == SIGTSTP && has_terminal) ::kill(::getppid(), SIGTSTP);
}

/// The kernel stops a background command that reads from the terminal or changes its settings. No
/// process would ever continue it, so the command is ended. A second request means that the command
/// has survived SIGTERM. SIGCONT follows because a stopped process does not act on SIGTERM.
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

/// When a command ends by itself, its processes outside the group continue: a server that it has
/// started may serve the next command. A command that was told to end leaves no process behind. A
/// failed try that another try follows leaves none either.
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
    // The SIGTERM came from here, so the table shows the reason, SIGTTIN or SIGTTOU.
    if (job_.status == Status::signalled) job_.signal = refused_terminal_;
}

}  // namespace tool::batch
