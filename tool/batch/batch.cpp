#include "batch/batch.h"

#include "batch/commands.h"
#include "batch/descendants.h"
#include "batch/descriptors.h"
#include "batch/exit_status.h"
#include "batch/guard.h"
#include "batch/json.h"
#include "batch/output_file.h"
#include "batch/report.h"
#include "batch/runner.h"
#include "batch/say.h"
#include "batch/signals.h"
#include "batch/terminal.h"
#include "batch/timeline.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <unistd.h>

namespace batch {
namespace {

// ----------------------------------------------------------------------------------- before it
// runs

/// The widest that a command is shown where there is no terminal to say how much room there is.
constexpr std::size_t width_without_terminal = 80;

bool leaves_out(const Options& options, const LogEntry& entry) {
    return options.resume_failed ? !entry.failed() : options.resume;
}

/// Marks what the job log says is done. Like GNU parallel, goes by the number alone; but says so if
/// the commands are not the same.
void skip_what_is_done(std::vector<Job>& jobs, const Options& options) {
    std::unordered_map<std::size_t, LogEntry> last;
    for (LogEntry& entry : read_job_log(options.job_log)) last[entry.number] = std::move(entry);
    for (Job& job : jobs) {
        const auto entry = last.find(job.number);
        if (entry == last.end() || !leaves_out(options, entry->second)) continue;
        job.status = Status::skipped;
        if (entry->second.command != job.command && !options.quiet) {
            say(fmt::format("number {} was another command when it ran: {}", job.number,
                            entry->second.command));
        }
    }
}

std::vector<Job> make_jobs(const Options& options) {
    std::vector<Job> jobs(options.commands.size());
    for (std::size_t index = 0; index < jobs.size(); ++index) {
        jobs[index].number = index + 1;
        jobs[index].command = options.commands[index];
    }
    if (options.resume || options.resume_failed) skip_what_is_done(jobs, options);
    return jobs;
}

std::unique_ptr<JobLog> open_log(const Options& options) {
    if (options.job_log.empty()) return nullptr;
    return std::make_unique<JobLog>(options.job_log, options.resume || options.resume_failed);
}

/// Opened before anything runs, so that nothing has run for nothing.
std::optional<OutputFile> open_json(const Options& options) {
    if (options.json.empty()) return std::nullopt;
    if (options.json == "-") return OutputFile();
    return OutputFile(options.json, OutputFile::Begin::anew, "write " + options.json);
}

// --------------------------------------------------------------------------------------- it runs

asyncio::Coro<> run_commands(const Options& options, std::vector<Job>& jobs, JobLog* log,
                             Result& result) {
    Runner runner(options, jobs, log, result);
    co_await runner.run();
}

// ------------------------------------------------------------------------------------ after it ran

/// The signal by which the batch ends; 0 if it ends by itself.
int signal_of(const Result& result) noexcept {
    if (result.stop_signal != 0) return result.stop_signal;
    return result.output_error == EPIPE ? SIGPIPE : 0;
}

int status_of(const Options& options, const std::vector<Job>& jobs, const Result& result) {
    if (signal_of(result) != 0) return signal_base + signal_of(result);
    if (result.output_error != 0 || result.log_is_incomplete) return other_error;
    return exit_status(count(jobs), options.halt, result.halted_by);
}

void print_table(const Options& options, const std::vector<Job>& jobs, const Result& result) {
    const Charset charset = locale_is_utf8() ? Charset::utf8 : Charset::ascii;
    const std::size_t width = is_terminal(Stream::errors)
                                  ? static_cast<std::size_t>(terminal_columns())
                                  : width_without_terminal;
    std::string text = table(jobs, result.elapsed, width, charset);
    if (options.timeline) text += "\n" + timeline(jobs, result.elapsed, width, charset);
    write_all(STDERR_FILENO, text, result.patience);
}

int report(const Options& options, const std::vector<Job>& jobs, const Result& result,
           const std::optional<OutputFile>& json) {
    const int status = status_of(options, jobs, result);
    // Whoever has closed standard output wants to hear no more.
    if (result.output_error == EPIPE) return status;
    if (!options.quiet) print_table(options, jobs, result);
    if (result.output_error != 0) {
        say(fmt::format("write standard output: {}", std::strerror(result.output_error)));
    }
    if (result.log_is_incomplete) say("write the job log: it is not complete");
    if (const int error = OverflowFile::refusal(); error != 0 && !options.quiet) {
        say(fmt::format("outputs were kept in memory, for want of a temporary file: {}",
                        std::strerror(error)));
    }
    if (!json) return status;
    const int error = json->write(json_report(jobs, result.elapsed, status), result.patience);
    if (error == 0) return status;
    say(fmt::format("write {}: {}", options.json, std::strerror(error)));
    return status == 0 ? other_error : status;
}

/// How many commands run at once, at most: as many as are wanted, unless descriptors are short.
std::size_t places(const Options& options, std::size_t commands) {
    const std::size_t wanted = options.jobs == 0 ? commands : std::min(options.jobs, commands);
    const std::size_t possible = make_room_for(wanted);
    if (possible < wanted && !options.quiet) {
        say(fmt::format("{} commands run at once, not {}: more need a higher `ulimit -n`", possible,
                        wanted));
    }
    return possible;
}

/// All that the worker does.
int work(Options options) {
    try {
        std::vector<Job> jobs = make_jobs(options);
        const std::optional<OutputFile> json = open_json(options);
        const std::unique_ptr<JobLog> log = open_log(options);
        options.jobs = places(options, jobs.size());
        Result result;
        asyncio::run(run_commands(options, jobs, log.get(), result),
                     {.sigint = asyncio::Sigint::ignore});
        if (!end_descendants()) say("a process could not be ended");
        // Nothing is left to be ended in order.
        use_mask_of_worker();
        const int status = report(options, jobs, result, json);
        if (signal_of(result) != 0) die_of(signal_of(result));
        return status;
    } catch (const std::exception& error) {
        say(error.what());
        return other_error;
    }
}

}  // namespace

int main(Options options) {
    fill_standard_streams();
    if (options.tty) {
        options.jobs = 1;
        options.terminal_owner = ::getpgrp();
    }
    try {
        options.commands = collect_commands(std::move(options.commands), options.files);
    } catch (const InputError& error) {
        say(error.what());
        return other_error;
    }
    return guarded([&] { return work(options); });
}

}  // namespace batch
