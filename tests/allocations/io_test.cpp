// Streams over pipes and child processes, with every allocation failing once on each back-end. Of
// a child only our side counts. How it is done is told in sweep.cpp.

#include <asyncio/gather.h>
#include <asyncio/lowlevel/channel.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/standard_streams.h>
#include <asyncio/streams.h>
#include <asyncio/subprocess.h>
#include <asyncio/task_group.h>
#include <asyncio/timeout.h>

#include "parts.h"
#include "sweep.h"

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

SCENARIO_EVERYWHERE(run_on_each_back_end) { co_await gather(part(1), part(2)); }

SCENARIO_EVERYWHERE(pipe_written_and_read) {
    Pipe pipe = co_await open_pipe({.name = long_text});
    co_await pipe.writer.send(std::string(long_text) + "\n");
    require(co_await pipe.reader.readline() == std::string(long_text) + "\n", "line");
    co_await pipe.writer.send("exactly;and until;");
    require(co_await pipe.reader.readexactly(8) == "exactly;", "exactly");
    require(co_await pipe.reader.readuntil(";") == "and until;", "until");
    pipe.writer.write(long_text);
    pipe.writer.close();
    require(co_await pipe.reader.read() == long_text, "rest");
    co_await pipe.writer.wait_closed();
}

SCENARIO_EVERYWHERE(standard_descriptors_stay_open) {
    const auto open = [] {
        for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
            require(::fcntl(fd, F_GETFD) >= 0, "open");
    };
    open();
    std::exception_ptr error;
    try {
        const StreamOptions options{.name = long_text};
        const StreamReader input = open_stdin(options);
        const StreamWriter output = open_stdout(options);
        EventLoop& loop = get_running_loop();
        const StreamReader reader(loop, lowlevel::Fd(STDIN_FILENO), options);
        const StreamWriter writer(loop, lowlevel::Fd(STDERR_FILENO), options);
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    open();
    if (error != nullptr) std::rethrow_exception(error);
    co_return;
}

SCENARIO_EVERYWHERE(pipe_written_again_after_a_write_that_failed) {
    Pipe pipe = co_await open_pipe();
    std::exception_ptr error;
    try {
        pipe.writer.write(long_text);
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    // Waits for what was taken, and for nothing else.
    co_await pipe.writer.send("x");
    if (error != nullptr) std::rethrow_exception(error);
}

SCENARIO_EVERYWHERE(pipe_with_more_than_it_holds) {
    Pipe pipe = co_await open_pipe();
    const std::string much(300'000, 'x');
    const auto write = [&]() -> Coro<> {
        std::exception_ptr error;
        try {
            for (int i = 0; i < 4; ++i) {
                pipe.writer.write(much);
                co_await pipe.writer.drain();
            }
        } catch (...) {
            error = std::current_exception();
        }
        // Without a writer the reader does not wait for ever.
        pipe.writer.close();
        if (error != nullptr) std::rethrow_exception(error);
        co_await pipe.writer.wait_closed();
    };
    const auto read = [&]() -> Coro<std::size_t> {
        std::size_t count = 0;
        for (;;) {
            const std::string bytes = co_await pipe.reader.read(100'000);
            if (bytes.empty()) break;
            count += bytes.size();
        }
        co_return count;
    };
    std::size_t count = 0;
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        group.create_task(write());
        count = co_await read();
    });
    require(count == 4 * much.size(), "count");
}

SCENARIO_EVERYWHERE(pipe_read_that_is_cancelled_and_one_in_time) {
    Pipe pipe = co_await open_pipe();
    bool timed_out = false;
    try {
        co_await wait_for(pipe.reader.read(10), 1ms);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    auto waiting = create_task(pipe.reader.readline());
    co_await sleep(1ms);
    waiting.cancel(long_text);
    co_await sleep(1ms);
    require(timed_out && waiting.done(), "ends");
    pipe.writer.write("lost");
}

SCENARIO_EVERYWHERE(pipes_many_at_once) {
    const auto pass = []() -> Coro<> {
        Pipe pipe = co_await open_pipe();
        auto line = create_task(pipe.reader.readline());
        co_await sleep(1ms);
        co_await pipe.writer.send("line\n");
        require(co_await line == "line\n", "line");
    };
    std::vector<Task<>> tasks;
    for (int i = 0; i < 8; ++i) tasks.push_back(create_task(pass()));
    for (const auto& task : tasks) co_await task;
}

SCENARIO_EVERYWHERE(descriptor_waited_for) {
    Pipe pipe = co_await open_pipe();
    int ends[2] = {-1, -1};
    require(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
    lowlevel::Fd reader(ends[0]);
    lowlevel::Fd writer(ends[1]);
    co_await writable(writer.get());
    require(::write(writer.get(), "x", 1) == 1, "write");
    co_await readable(reader.get());
    const auto wait = [&]() -> Coro<> { co_await readable(reader.get()); };
    char byte = 0;
    require(::read(reader.get(), &byte, 1) == 1, "read");
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        auto waiting = group.create_task(wait());
        co_await sleep(1ms);
        waiting.cancel();
    });
}

SCENARIO_EVERYWHERE(stream_over_a_descriptor_of_the_program) {
    int ends[2] = {-1, -1};
    require(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
    lowlevel::Fd first(ends[0]);
    lowlevel::Fd second(ends[1]);
    StreamReader reader = connect_read_pipe(std::move(first), {.name = long_text});
    StreamWriter writer = connect_write_pipe(std::move(second), {.name = long_text});
    co_await writer.send("text");
    require(co_await reader.read(10) == "text", "text");
}

SCENARIO_EVERYWHERE(subprocess_with_input_and_output) {
    Process process = co_await create_subprocess_exec("cat", {.stdin = PIPE, .stdout = PIPE});
    const Process::Output output = co_await process.communicate(long_text);
    require(output.stdout == long_text, "output");
    require(process.returncode() == 0, "status");
}

SCENARIO_EVERYWHERE(subprocess_with_options) {
    const std::vector<std::string> environment{"A=" + std::string(long_text), "PATH=/bin:/usr/bin"};
    SubprocessOptions options{.stdout = PIPE, .stderr = STDOUT, .cwd = "/"};
    options.env = environment;
    options.process_group = 0;
    options.end_group_at_exit = true;
    Process process = co_await create_subprocess_exec("sh", "-c", "echo $A", options);
    const Process::Output output = co_await process.communicate();
    require(output.stdout == std::string(long_text) + "\n", "output");
}

SCENARIO_EVERYWHERE(subprocess_waited_for_and_signalled) {
    Process process = co_await create_subprocess_exec("sleep", "100");
    const auto wait = [&process]() -> Coro<int> { co_return co_await process.wait(); };
    co_await task_group([&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 2; ++i) group.create_task(wait());
        co_await sleep(1ms);
        process.terminate();
    });
    require(process.returncode() == -15, "status");
}

SCENARIO_EVERYWHERE(subprocess_dropped_while_it_runs) {
    Process process = co_await create_subprocess_exec("sleep", "100");
    co_await sleep(1ms);
}

SCENARIO_EVERYWHERE(subprocess_that_cannot_be_started) {
    int error = 0;
    try {
        co_await create_subprocess_exec("/no/such/program", {.stdin = PIPE, .stdout = PIPE});
    } catch (const OsError& refused) {
        error = refused.error();
    }
    require(error == ENOENT || error == ENOMEM, "error");
}

SCENARIO_EVERYWHERE(shell_command) {
    Process process = co_await create_subprocess_shell("echo text; exit 3", {.stdout = PIPE});
    const Process::Output output = co_await process.communicate();
    require(output.stdout == "text\n" && co_await process.wait() == 3, "output");
}

/// Takes three bytes of a message at once, and the rest by an operation.
class ThreeAtOnce final : public lowlevel::Channel {
public:
    std::string name() const override { return "three at once"; }
    int write_now(std::string_view bytes) noexcept override { return take(bytes.substr(0, 3)); }
    Submitted submit(lowlevel::Operation& operation) noexcept override {
        const bool writes = operation.kind == lowlevel::OperationKind::write;
        const std::string_view bytes(static_cast<const char*>(operation.buffer), operation.size);
        return finish(operation, writes ? take(bytes) : 0);
    }
    void cancel(lowlevel::Operation&) noexcept override {}
    Submitted close(Side, lowlevel::Operation& operation) noexcept override {
        return finish(operation, 0);
    }

    std::size_t taken = 0;

private:
    int take(std::string_view bytes) noexcept {
        taken += bytes.size();
        return static_cast<int>(bytes.size());
    }
    static Submitted finish(lowlevel::Operation& operation, int result) noexcept {
        operation.result = result;
        operation.state = lowlevel::Operation::State::finished;
        return Submitted::finished;
    }
};

/// A message of which a part was sent cannot be taken back. So there is no error at `write`, and
/// nothing follows the part.
SCENARIO(a_message_that_goes_in_two_parts) {
    auto channel = std::make_shared<ThreeAtOnce>();
    const StreamWriter writer(get_running_loop(), channel);
    const std::string text(long_text);
    bool was_refused = false;
    try {
        writer.write(text);
    } catch (const std::bad_alloc&) {
        was_refused = true;
    }
    require(was_refused ? channel->taken == 0
                        : channel->taken == 3 || channel->taken == text.size(),
            "a part is sent, and the message was refused");
    if (was_refused) throw std::bad_alloc();
    const bool is_cut = channel->taken == 3;
    try {
        co_await writer.send("next");
    } catch (const OsError& error) {
        require(is_cut && error.code().value() == ENOMEM && channel->taken == 3, "the end");
        throw std::bad_alloc();
    }
    require(!is_cut && channel->taken == text.size() + 4, "all of it");
}
