#include "batch/attempt.h"

#include "batch/process_group.h"

#include <chrono>

namespace batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

/// How long the end of a pipe is waited for when its command has ended. What a command wrote is
/// there by then; whoever still holds the pipe is none of its group.
constexpr Duration drain_limit = 50ms;

constexpr SubprocessOptions subprocess_options{
    .stdin = DEVNULL, .stdout = PIPE, .stderr = PIPE, .process_group = 0};

/// Reads `pipe` to its end. The reader is a part of this coroutine, so it lives as long as the task
/// does, whatever becomes of those who started it.
Coro<> collect(StreamReader pipe, Blocks& blocks) {
    try {
        for (;;) {
            std::string piece = co_await pipe.read(Blocks::block_bytes);
            if (piece.empty()) co_return;
            blocks.append(std::move(piece));
        }
    } catch (const CancelledError&) {
        blocks.append(pipe.take_buffered());
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
    Process process = co_await create_subprocess_shell(job_.command, subprocess_options);
    job_.status = Status::running;
    job_.started = std::chrono::system_clock::now();
    job_.output.clear();
    job_.errors.clear();
    job_.started_at = get_running_loop().time();
    const Task<> output = create_task(collect(std::move(process.stdout), job_.output));
    const Task<> errors = create_task(collect(std::move(process.stderr), job_.errors));
    const ProcessGroup group(process.pid());

    const Status end = co_await wait_for_end(process);
    cancellable_ = false;
    const Duration grace = end == Status::exited ? Duration::zero() : limits_.grace;
    const int returncode = co_await group.end(process, grace);
    job_.seconds = get_running_loop().time() - job_.started_at;
    co_await drain(output, errors);
    record(end, returncode);
}

/// `exited`, `timed_out` or `interrupted`: why the wait is over.
Coro<Status> Attempt::wait_for_end(const Process& process) {
    try {
        if (limits_.timeout) {
            co_await wait_for(process.wait(), limits_.timeout);
        } else {
            co_await process.wait();
        }
        co_return Status::exited;
    } catch (const TimeoutError&) {
        co_return Status::timed_out;
    } catch (const CancelledError&) {
        co_return Status::interrupted;
    }
}

void Attempt::record(Status end, int returncode) {
    job_.signal = returncode < 0 ? -returncode : 0;
    job_.exit_code = returncode < 0 ? 0 : returncode;
    job_.status = end == Status::exited && returncode < 0 ? Status::signalled : end;
    job_.output_bytes = job_.output.size_bytes();
    job_.error_bytes = job_.errors.size_bytes();
}

}  // namespace batch
