#pragma once
// Examples that run beside the test, in a process of their own: servers, and programs that wait for
// input.
//
// Not on the simulated back-end. A process there has a world of its own, which no other process can
// reach. The tests of the programs' functions run there.

#include <asyncio.h>

#include "examples/program.h"

#include <string>
#include <utility>
#include <vector>

namespace examples {

/// Starts the example `name` with pipes.
inline asyncio::Coro<asyncio::Process> start_example(std::string name,
                                                     std::vector<std::string> arguments) {
    std::vector<std::string> words{std::string(ASYNCIO_EXAMPLE_DIR) + "/" + name};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const asyncio::SubprocessOptions options{
        .stdin = asyncio::PIPE, .stdout = asyncio::PIPE, .stderr = asyncio::PIPE};
    co_return co_await asyncio::create_subprocess_exec(std::move(words), options);
}

/// A server, and the port that its first line names.
struct RunningServer {
    asyncio::Process process;
    std::string port;
};

inline asyncio::Coro<RunningServer> start_server_example(std::string name,
                                                         std::vector<std::string> arguments) {
    asyncio::Process process = co_await start_example(std::move(name), std::move(arguments));
    const std::string line = co_await process.stdout.readline();
    EXPECT_TRUE(line.starts_with("listening on 127.0.0.1:") && line.ends_with("\n")) << line;
    std::string port = line.substr(line.find(':') + 1);
    port.pop_back();
    co_return RunningServer{std::move(process), std::move(port)};
}

/// Runs an example to its end. Its input is `input`.
struct Output {
    std::string text;
    std::string errors;
    int status = 0;
};

inline asyncio::Coro<Output> run_to_end(std::string name, std::vector<std::string> arguments,
                                        std::string input = "") {
    asyncio::Process process = co_await start_example(std::move(name), std::move(arguments));
    auto said = co_await process.communicate(std::move(input));
    co_return Output{std::move(said.stdout), std::move(said.stderr), *process.returncode()};
}

/// Sends a signal, and waits for the end of the program. Returns what it has printed since.
inline asyncio::Coro<Output> stop(asyncio::Process process, int signal) {
    process.send_signal(signal);
    auto said = co_await process.communicate();
    co_return Output{std::move(said.stdout), std::move(said.stderr), *process.returncode()};
}

}  // namespace examples
