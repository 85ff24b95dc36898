#include "batch/options.h"

#include "batch/command_line.h"
#include "batch/duration.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace batch {
namespace {

constexpr const char* about_running =
    R"(Each command runs through `/bin/sh -c`, in its own process group, with /dev/null as its
input. What it writes is kept, much of it in a temporary file, and shown whole when it ends: its
output on standard output, its errors on standard error. The table, the time line and every remark
go to standard error.

A command has ended when its process has. What it leaves running in its process group is ended then.
What has left that group (`setsid`, a daemon) is ended with a command that reaches its limit, with a
try that is followed by another, and at the latest when the batch ends: nothing outlives a batch. A
command that asks the terminal for input is ended, and fails.

Examples:
  asyncio batch -j 0 -t 2 'sleep 1 && echo hello' 'sleep 1.5' 'echo world' 'sleep 500'
  asyncio batch -f commands.txt -j 8 -t 1m30s --retries 3 --joblog log
  asyncio batch -f commands.txt --joblog log --resume-failed
  find . -name '*.png' | sed "s/.*/optipng '&'/" | asyncio batch --halt now,fail=1

Exit status, as GNU parallel's:
  0        every command succeeded
  1-100    so many failed; a timeout is a failure
  101      more than 100 failed
  N        with --halt soon,fail=1 or now,fail=1: what the failing command exited with
  255      bad usage, an input that cannot be read, an output that cannot be written
  130 143  it died of Ctrl-C, of SIGTERM, after ending the commands (128 and the signal's number)
  141      it died of SIGPIPE: standard output was closed early, as by `| head -1`

Signals:
  INT TERM HUP  end the commands: SIGTERM, the grace, SIGKILL; so does every signal not named here
  QUIT          kill the commands at once, and so does the second of any of those signals
  USR1          list the commands that run, on standard error
  USR2          start no more commands, let those that run end
  TSTP CONT     Ctrl-Z stops the commands and the clocks of their limits; both go on with `fg`)";

asyncio::Duration read_duration(const std::string& option, const std::string& text) {
    if (const auto duration = parse_duration(text)) return *duration;
    throw CLI::ValidationError(
        option, fmt::format("\"{}\" is no duration; write {}", text, duration_forms));
}

std::size_t read_number(const std::string& option, const std::string& text, const char* meaning) {
    std::size_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc{} && stop == end) return number;
    throw CLI::ValidationError(option, fmt::format("\"{}\" is no {}", text, meaning));
}

Halt read_halt(const std::string& text) {
    if (const auto halt = parse_halt(text)) return *halt;
    throw CLI::ValidationError(
        "--halt",
        fmt::format("\"{}\" is no condition; write never, soon,fail=N or now,fail=N", text));
}

/// An option whose text `read` turns into a value. Of several, the last one counts: a user repeats
/// what an alias has given already.
template <class Read>
CLI::Option* add(CLI::App& app, const char* names, const char* value, Read read, std::string help) {
    return app.add_option_function<std::string>(names, read, std::move(help))
        ->type_name(value)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* add_text(CLI::App& app, const char* names, std::string& text, std::string help) {
    return add(
        app, names, "FILE", [&text](const std::string& value) { text = value; }, std::move(help));
}

void add_input(CLI::App& app, Options& options) {
    app.add_option("COMMAND", options.commands, "A command of the shell; anything behind -- is one")
        ->type_name("");
    app.add_option("-f,--file", options.files,
                   "One command per line from FILE, - for standard input (the default if no "
                   "command is given and standard input is no terminal); may be repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
}

void add_limits(CLI::App& app, Options& options) {
    options.jobs = std::max(1U, std::thread::hardware_concurrency());
    add(
        app, "-t,--timeout", "DURATION",
        [&](const std::string& text) {
            const asyncio::Duration limit = read_duration("--timeout", text);
            options.timeout.reset();
            if (limit > asyncio::Duration::zero()) options.timeout = limit;
        },
        fmt::format("Limit for each command: {}; 0 is none", duration_forms));
    add(
        app, "--grace", "DURATION",
        [&](const std::string& text) { options.grace = read_duration("--grace", text); },
        "Time between SIGTERM and SIGKILL, 0 to kill at once (default 1s)");
    add(
        app, "-j,--jobs", "N",
        [&](const std::string& text) {
            options.jobs = read_number("--jobs", text, "number of jobs");
        },
        fmt::format("At most N at a time, 0 for all at once (default: the cores, {})",
                    options.jobs));
    add(
        app, "--retries", "N",
        [&](const std::string& text) {
            options.tries = read_number("--retries", text, "number of tries");
        },
        "Try a failing command N times in all, 0 for ever; the last try counts");
    add(
        app, "--halt", "WHEN", [&](const std::string& text) { options.halt = read_halt(text); },
        "soon,fail=N: when N have failed, start no more; now,fail=N: and end those that run; "
        "also success=N, done=N, and never (the default)");
}

void add_output(CLI::App& app, Options& options) {
    app.add_flag("-k,--keep-order", options.keep_order, "Show outputs in the order of the input");
    app.add_flag("--tag", options.tag, "Put the command and a TAB before each line of its output");
    app.add_flag("--tty", options.tty,
                 "Give each command the terminal, one after another; its output is not kept");
    app.add_flag("--timeline", options.timeline, "Draw when each command ran");
    app.add_flag("--no-progress", options.no_progress,
                 "No progress line, which is shown on a terminal unless NO_COLOR is set");
    app.add_flag("--quiet", options.quiet, "Only what the commands write: no table, no remarks");
    add_text(app, "--json", options.json,
             "Write a report to FILE; with - it has standard output to itself, and what commands "
             "write all goes to standard error");
}

void add_log(CLI::App& app, Options& options) {
    CLI::Option* log =
        add_text(app, "--joblog", options.job_log, "Log every command, in GNU parallel's columns");
    app.add_flag("--resume", options.resume, "Leave out what is in the job log")->needs(log);
    app.add_flag("--resume-failed", options.resume_failed,
                 "Leave out what has succeeded by the job log")
        ->needs(log);
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
    add_input(app, options);
    add_limits(app, options);
    add_output(app, options);
    add_log(app, options);
    app.footer(about_running);
}

void parse(CLI::App& app, Options& options, int argc, char** argv) {
    std::vector<std::string> all(argv + 1, argv + argc);
    const CLI::App* batch_command = app.get_subcommand(batch_name);
    CommandLine line;
    const bool is_batch = !all.empty() && all.front() == batch_name;
    if (is_batch) {
        line = sort_arguments(*batch_command, std::span(all).subspan(1));
        all.resize(1);
        all.insert(all.end(), line.options.begin(), line.options.end());
    }
    // The way CLI11 wants them: the first one last.
    std::reverse(all.begin(), all.end());
    app.parse(std::move(all));
    options.commands = std::move(line.words);
}

}  // namespace batch
