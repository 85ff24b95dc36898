#include "batch/batch.h"

#include "batch/commands.h"
#include "batch/descendants.h"
#include "batch/descriptors.h"
#include "batch/exit_status.h"
#include "batch/guard.h"
#include "batch/json.h"
#include "batch/report.h"
#include "batch/runner.h"
#include "batch/stop_signals.h"
#include "batch/terminal.h"
#include "batch/timeline.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <unordered_map>

#include <fmt/format.h>

namespace batch {
namespace {

void complain(std::string_view text) { fmt::print(stderr, "asyncio batch: {}\n", text); }

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
            complain(fmt::format("number {} was another command when it ran: {}", job.number,
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
std::ofstream open_json(const Options& options) {
    std::ofstream file;
    if (options.json.empty() || options.json == "-") return file;
    errno = 0;
    file.open(options.json, std::ios::binary);
    if (!file) throw asyncio::OsError(errno != 0 ? errno : EIO, "write " + options.json);
    return file;
}

// --------------------------------------------------------------------------------------- it runs

asyncio::Coro<> run_commands(const Options& options, std::vector<Job>& jobs, JobLog* log,
                             Result& result) {
    take_over_interrupts();
    Runner runner(options, jobs, log, result);
    co_await runner.run();
}

/// True if it was stopped by a signal.
bool run_loop(const Options& options, std::vector<Job>& jobs, JobLog* log, Result& result) {
    try {
        asyncio::run(run_commands(options, jobs, log, result));
        return false;
    } catch (const asyncio::KeyboardInterrupt&) {
        return true;
    }
}

// ------------------------------------------------------------------------------------ after it ran

int status_of(const Options& options, const std::vector<Job>& jobs, const Result& result,
              bool interrupted) {
    if (interrupted) return signal_base + stop_signal();
    if (result.output_error == EPIPE) return signal_base + SIGPIPE;
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
    std::fwrite(text.data(), 1, text.size(), stderr);
}

/// False if it could not be written.
bool write_json(const Options& options, std::ofstream& file, const std::string& json) {
    if (options.json != "-") return (file << json << std::flush).good();
    return std::fwrite(json.data(), 1, json.size(), stdout) == json.size() &&
           std::fflush(stdout) == 0;
}

int report(const Options& options, const std::vector<Job>& jobs, const Result& result, int status,
           std::ofstream& json) {
    // Whoever has closed standard output wants to hear no more.
    if (result.output_error == EPIPE) return status;
    if (!options.quiet) print_table(options, jobs, result);
    if (result.output_error != 0) {
        complain(fmt::format("write standard output: {}", std::strerror(result.output_error)));
    }
    if (result.log_is_incomplete) complain("write the job log: it is not complete");
    if (!options.json.empty() &&
        !write_json(options, json, json_report(jobs, result.elapsed, status))) {
        complain(fmt::format("write {}: {}", options.json, std::strerror(errno)));
        return status == 0 ? other_error : status;
    }
    return status;
}

/// How many commands run at once, at most: as many as are wanted, unless descriptors are short.
std::size_t places(const Options& options, std::size_t commands) {
    const std::size_t wanted = options.jobs == 0 ? commands : std::min(options.jobs, commands);
    const std::size_t possible = make_room_for(wanted);
    if (possible < wanted && !options.quiet) {
        complain(fmt::format("{} commands run at once, not {}: more need a higher `ulimit -n`",
                             possible, wanted));
    }
    return possible;
}

/// All that the worker does.
int work(Options options) {
    try {
        std::vector<Job> jobs = make_jobs(options);
        std::ofstream json = open_json(options);
        const std::unique_ptr<JobLog> log = open_log(options);
        options.jobs = places(options, jobs.size());
        Result result;
        const bool interrupted = run_loop(options, jobs, log.get(), result);
        if (!end_descendants()) complain("a process could not be ended");
        return report(options, jobs, result, status_of(options, jobs, result, interrupted), json);
    } catch (const std::exception& error) {
        complain(error.what());
        return other_error;
    }
}

}  // namespace

int main(Options options) {
    fill_standard_streams();
    try {
        options.commands = collect_commands(std::move(options.commands), options.files);
    } catch (const InputError& error) {
        complain(error.what());
        return other_error;
    }
    return guarded([&] { return work(options); });
}

}  // namespace batch
