// The definition of every option for CLI11, and the order in which the command line is read.
//
// Most options are read as text and converted here. CLI11 could convert numbers itself, but its
// messages would not name the forms that are accepted.

#include "batch/options/options.h"

#include "batch/options/command_line.h"
#include "batch/options/help.h"
#include "parse.h"
#include "terminal/duration.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace tool::batch {
namespace {

asyncio::Duration read_duration(const std::string& option, const std::string& text) {
    if (const auto duration = parse_duration(text)) return *duration;
    throw CLI::ValidationError(
        option, fmt::format("\"{}\" is not a duration; write {}", text, duration_forms));
}

std::size_t read_number(const std::string& option, const std::string& text, const char* meaning) {
    if (const auto number = parse_number<std::size_t>(text)) return *number;
    throw CLI::ValidationError(option, fmt::format("\"{}\" is not a {}", text, meaning));
}

/// A larger percentage, multiplied by the number of cores, could overflow.
constexpr std::size_t most_percent = 1'000'000;

std::size_t cores() { return std::max(1U, std::thread::hardware_concurrency()); }

/// Reads "4", or "50%" of the cores, which is rounded down to at least one.
std::size_t read_jobs(const std::string& text) {
    constexpr const char* meaning = "number of jobs";
    if (!text.ends_with('%')) return read_number("--jobs", text, meaning);
    const std::size_t percent = read_number("--jobs", text.substr(0, text.size() - 1), meaning);
    return std::max<std::size_t>(1, cores() * std::min(percent, most_percent) / 100);
}

Halt read_halt(const std::string& text) {
    if (const auto halt = parse_halt(text)) return *halt;
    throw CLI::ValidationError(
        "--halt",
        fmt::format("\"{}\" is not a condition; write never, soon,fail=N or now,fail=N", text));
}

/// Adds an option whose text `read` converts into a value. If the option is repeated, the last one
/// counts: a user overrides the options of an alias in this way.
template <class Read>
CLI::Option* add(CLI::App& app, const char* names, const char* value, Read read, std::string help) {
    return app.add_option_function<std::string>(names, read, std::move(help))
        ->type_name(value)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* add_path(CLI::App& app, const char* names, const char* value, std::string& path,
                      std::string help) {
    // An empty name usually comes from a shell variable that is not set. Without this check the
    // batch would run without the log that the user asked for.
    const auto read = [&path, names](const std::string& text) {
        if (text.empty()) throw CLI::ValidationError(names, "the name is empty");
        path = text;
    };
    return add(app, names, value, read, std::move(help));
}

void add_input(CLI::App& app, Options& options) {
    app.add_option("COMMAND", options.words,
                   "A command of the shell; every word after -- is a command. The words before ::: "
                   "are one template")
        ->type_name("");
    app.add_option("-f,--file", options.files,
                   "One command per line from FILE, - for standard input (the default if no "
                   "command is given and standard input is not a terminal); may be repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
    app.add_flag_callback(
        "-0,--null", [&] { options.item_end = ItemEnd::nul; },
        "The items of the input end with NUL bytes, not with lines (`find -print0`), and are taken "
        "unchanged");
    app.add_flag("--close-fds", options.close_descriptors,
                 "Give the commands no descriptors except the three standard ones");
}

void add_limits(CLI::App& app, Options& options) {
    // Set before the help text is made, which names the default.
    options.jobs = cores();
    add(
        app, "-t,--timeout", "DURATION",
        [&](const std::string& text) {
            const asyncio::Duration limit = read_duration("--timeout", text);
            options.timeout.reset();
            if (limit > asyncio::Duration::zero()) options.timeout = limit;
        },
        fmt::format("Limit for each command: {}; 0 means no limit", duration_forms));
    add(
        app, "--grace", "DURATION",
        [&](const std::string& text) { options.grace = read_duration("--grace", text); },
        "Time between SIGTERM and SIGKILL; 0 kills at once (default 1s)");
    add(
        app, "-j,--jobs", "N", [&](const std::string& text) { options.jobs = read_jobs(text); },
        fmt::format("Run at most N commands at a time; 0 means all at once, N% means that part of "
                    "the cores (default: the number of cores, {})",
                    options.jobs));
    add(
        app, "--retries", "N",
        [&](const std::string& text) {
            options.tries = read_number("--retries", text, "number of tries");
        },
        "Try a failing command N times in all; 0 means until it succeeds; the last try counts");
    add(
        app, "--halt", "WHEN", [&](const std::string& text) { options.halt = read_halt(text); },
        "soon,fail=N: after N failures, start no more commands; now,fail=N: also end the commands "
        "that run; success=N and done=N count other results; never is the default");
}

void add_output(CLI::App& app, Options& options) {
    app.add_flag("-k,--keep-order", options.keep_order, "Show outputs in the order of the input");
    app.add_flag("--tag", options.tag, "Put the command and a TAB before each line of its output");
    app.add_flag("--tty", options.tty,
                 "Give each command the terminal, one after another; its output is not kept");
    app.add_flag("--line-buffer", options.line_buffer,
                 "Show whole lines while commands run; with -k, only the lines of the first "
                 "running command");
    app.add_flag("--dry-run", options.dry_run, "Show the commands without running them");
    add_path(app, "--results", "DIR", options.results,
             "Also write the output of each command to DIR/SEQ/stdout and DIR/SEQ/stderr");
    app.add_flag("--timeline", options.timeline, "Draw when each command ran");
    app.add_flag(
        "--no-progress", options.no_progress,
        "Show no progress line (it is shown only on a terminal, and not if NO_COLOR is set)");
    app.add_flag("--quiet", options.quiet,
                 "Show only the output of the commands: no table, no remarks");
    add_path(app, "--json", "FILE", options.json,
             "Write a report to FILE, or to standard output if FILE is -; the output of the "
             "commands then goes to standard error");
}

void add_log(CLI::App& app, Options& options) {
    CLI::Option* log = add_path(app, "--joblog", "FILE", options.job_log,
                                "Log every command, in GNU parallel's columns");
    app.add_flag("--resume", options.resume, "Skip the commands that are in the job log")
        ->needs(log);
    app.add_flag("--resume-failed", options.resume_failed,
                 "Skip the commands that succeeded according to the job log")
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
    if (!is_batch && !all.empty() && !all.front().starts_with('-')) {
        throw CLI::ValidationError(
            fmt::format("\"{}\"", all.front()),
            fmt::format("there is no such subcommand; the only subcommand is {}", batch_name));
    }
    // CLI11 takes the words in reverse order.
    std::reverse(all.begin(), all.end());
    app.parse(std::move(all));
    // For CLI11 some words that the sorter takes for options are none (`---`, `- x`). It would add
    // them to the commands, where the assignment below would lose them without a message.
    if (!options.words.empty()) throw CLI::ExtrasError(batch_name, options.words);
    options.words = std::move(line.words);
    options.lists = std::move(line.lists);
}

}  // namespace tool::batch
