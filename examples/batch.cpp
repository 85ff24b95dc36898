// A batch of shell commands with a time limit. All commands run at once, their output is captured,
// and no process is left behind. The command `asyncio batch` does the same with many options; this
// program shows only the central part.

#include <asyncio.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

using asyncio::Coro;
using asyncio::Delay;

constexpr const char* usage =
    "usage: batch [SECONDS [COMMAND ...]]\n"
    "  SECONDS  the limit for each command; 2 if not given\n"
    "  COMMAND  what to run; if none is given, four that sleep and say something\n";

struct Report {
    std::string status;
    std::string output;
    std::chrono::duration<double> took{};
};

std::string describe_exit(int returncode) {
    if (returncode == 0) return "complete";
    return returncode > 0 ? fmt::format("exit {}", returncode)
                          : fmt::format("signal {}", -returncode);
}

Coro<Report> run_command(std::string command, Delay limit) {
    const asyncio::TimePoint start = asyncio::get_running_loop().time();
    // A process group of its own, so that the programs of the shell can be ended with the shell.
    const asyncio::SubprocessOptions options{.stdout = asyncio::PIPE,
                                             .stderr = asyncio::STDOUT,
                                             .process_group = 0,
                                             .end_group_at_exit = true};
    asyncio::Process process = co_await asyncio::create_subprocess_shell(command, options);

    Report report;
    try {
        auto output = co_await asyncio::wait_for(process.communicate(), limit);
        report.output = std::move(output.stdout);
        if (report.output.ends_with('\n')) report.output.pop_back();
        report.status = describe_exit(co_await process.wait());
    } catch (const asyncio::TimeoutError&) {
        report.status = "timeout";
    }
    if (report.status == "timeout") {
        process.send_signal_to_group(SIGKILL);
        co_await process.wait();
    }
    report.took = asyncio::get_running_loop().time() - start;
    co_return report;
}

Coro<> run_batch(std::vector<std::string> commands, Delay limit) {
    const asyncio::TimePoint start = asyncio::get_running_loop().time();
    std::vector<Coro<Report>> runs;
    runs.reserve(commands.size());
    for (const std::string& command : commands) runs.push_back(run_command(command, limit));
    const std::vector<Report> reports = co_await asyncio::gather(std::move(runs));

    for (std::size_t i = 0; i < commands.size(); ++i) {
        fmt::print("{:<24} {:<10} {:.3f} s  {}\n", commands[i], reports[i].status,
                   reports[i].took.count(), reports[i].output);
    }
    const std::chrono::duration<double> took = asyncio::get_running_loop().time() - start;
    fmt::print("the batch took {:.3f} s\n", took.count());
}

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    const std::chrono::duration<double> limit(argc > 1 ? std::atof(argv[1]) : 2);
    if (limit.count() <= 0) {
        fmt::print("{}", usage);
        return std::string_view(argv[1]) == "--help" ? 0 : 2;
    }
    std::vector<std::string> commands(argv + std::min(argc, 2), argv + argc);
    if (commands.empty()) {
        commands = {"sleep 1 && echo hello", "sleep 1.5", "echo world", "sleep 500"};
    }
    asyncio::run(run_batch(std::move(commands), limit));
}
