// The life of one batch, from the parsed options to the exit status.
//
//   main        plan the work (open inputs, read templates), then start guard and worker
//   work        in the worker: open the outputs, run the loop, end what is left, report
//   report      the table, the remarks, the JSON report, and the exit status
//
// The order in `work` matters. Every file that the user named is opened before the first command
// runs, so an error in a file name costs no work. The processes are ended before the report is
// written, because a reader of the report may act on it while an orphan still changes files.
//
// Two things leave a batch: its exit status, and the signal by which it dies. When the batch ends
// because of a signal, it does not exit with 128 plus the number; it dies of the signal itself.
// Only then does a shell loop around the batch end as well.

#include "batch/batch.h"

#include "batch/dry_run.h"
#include "batch/job/exit_status.h"
#include "batch/output/results.h"
#include "batch/plan.h"
#include "batch/report/json.h"
#include "batch/report/output_file.h"
#include "batch/report/table.h"
#include "batch/report/timeline.h"
#include "batch/run/runner.h"
#include "exit_codes.h"
#include "guard/descendants.h"
#include "guard/descriptors.h"
#include "guard/guard.h"
#include "guard/signals.h"
#include "terminal/say.h"
#include "terminal/terminal.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

namespace tool::batch {
namespace {

// --------------------------------------------------------------------------------- before it runs

/// The width of the table when standard error is no terminal, so that its width is unknown.
constexpr std::size_t width_without_terminal = 80;

void say(std::string_view text) { tool::say(batch_name, text); }

/// Tells why the input could not be read or the output not be written, if that is so.
void say_what_failed(const std::string& input_error, int output_error) {
    if (!input_error.empty()) say(input_error);
    if (output_error == 0) return;
    say(fmt::format("write standard output: {}", std::strerror(output_error)));
}

/// The commands that need not run again.
Resume commands_done(const Options& options) {
    if (options.resume_failed) return {options.job_log, Resume::Again::failed};
    if (options.resume) return {options.job_log, Resume::Again::none};
    return {};
}

std::unique_ptr<JobLog> open_log(const Options& options) {
    if (options.job_log.empty()) return nullptr;
    return std::make_unique<JobLog>(options.job_log, options.resume || options.resume_failed);
}

/// Opens the file of the JSON report before any command runs. If the file cannot be written, the
/// user learns of it before the commands have used any time.
std::optional<OutputFile> open_json(const Options& options) {
    if (options.json.empty()) return std::nullopt;
    if (options.json == "-") return OutputFile();
    return OutputFile(options.json, OutputFile::Begin::anew, "write " + options.json);
}

// --------------------------------------------------------------------------------------- it runs

asyncio::Coro<> run_commands(const Options& options, const Work& work, Ledger& ledger,
                             Result& result) {
    Runner runner(options, work, ledger, result);
    co_await runner.run();
}

// ------------------------------------------------------------------------------------ after it ran

/// The signal by which the batch dies; 0 if it exits. A batch whose reader has closed standard
/// output dies of SIGPIPE, as any program in a pipeline does. It has SIGPIPE blocked while it runs,
/// so the error of the write stands for the signal.
int signal_of(const Result& result) noexcept {
    if (result.stop_signal != 0) return result.stop_signal;
    return result.output_error == EPIPE ? SIGPIPE : 0;
}

/// The checks are ordered by what a script must learn first: a signal, then a batch that did not
/// do all of its work, then the failures of commands.
int status_of(const Options& options, const Ledger& ledger, const Result& result) {
    if (signal_of(result) != 0) return signal_base + signal_of(result);
    if (!result.input_error.empty() || result.output_error != 0) return other_error;
    if (result.log_is_incomplete || result.results_are_incomplete) return other_error;
    const Job* halted_by = result.halted_by ? &*result.halted_by : nullptr;
    return exit_status(ledger.totals().tally, options.halt, halted_by);
}

void print_table(const Options& options, Ledger& ledger, const Result& result) {
    const Charset charset = locale_is_utf8() ? Charset::utf8 : Charset::ascii;
    const std::size_t width = is_terminal(Stream::errors)
                                  ? static_cast<std::size_t>(terminal_columns())
                                  : width_without_terminal;
    const Totals& totals = ledger.totals();
    std::string text = table(ledger.jobs(), totals, width, charset);
    if (options.timeline) text += "\n" + timeline(ledger.jobs(), totals.elapsed, width, charset);
    write_all(STDERR_FILENO, text, result.patience);
}

int report(const Options& options, Ledger& ledger, const Result& result,
           const std::optional<OutputFile>& json) {
    const int status = status_of(options, ledger, result);
    // The reader of standard output has closed it (`| head -1`). Such a user does not want a table
    // on the terminal.
    if (result.output_error == EPIPE) return status;
    // If the input failed before the first command, an empty table would hide the error.
    const bool none_came = ledger.totals().commands == 0 && !result.input_error.empty();
    if (!options.quiet && !none_came) print_table(options, ledger, result);
    say_what_failed(result.input_error, result.output_error);
    if (result.log_is_incomplete) say("the job log is not complete: it could not be written");
    if (const int error = OverflowFile::refusal(); error != 0 && !options.quiet) {
        say(fmt::format("outputs were kept in memory, because no temporary file could be made: {}",
                        std::strerror(error)));
    }
    if (result.results_are_incomplete)
        say("the results in " + options.results + " are not complete: they could not be written");
    if (!json) return status;
    const int error =
        json->write(json_report(ledger.jobs(), ledger.totals(), status), result.patience);
    if (error == 0) return status;
    say(fmt::format("write {}: {}", options.json, std::strerror(error)));
    return status == 0 ? other_error : status;
}

/// Which jobs the ledger must keep for the reports of these options. A batch of millions of
/// commands must not keep them all.
Ledger::Keep what_to_keep(const Options& options) {
    if (!options.json.empty() || options.timeline) return Ledger::Keep::all;
    return options.quiet ? Ledger::Keep::nothing : Ledger::Keep::table;
}

/// Shows the commands without running them, and returns the exit status.
int dry_run(const Plan& plan, const Resume& resume) {
    const Launcher launcher(plan.filled ? &*plan.filled : nullptr, {});
    // No command runs that a signal would have to end. So signals have their usual action.
    use_mask_of_worker();
    const DryRunResult result = asyncio::run(show_commands(*plan.feed, launcher, resume),
                                             {.sigint = asyncio::Sigint::ignore});
    if (result.output_error == EPIPE) die_of(SIGPIPE);
    say_what_failed(result.input_error, result.output_error);
    return result.input_error.empty() && result.output_error == 0 ? 0 : other_error;
}

/// The whole work of the worker process. Every exception ends here: an exception that left the
/// worker would become an abort, and the guard would report SIGABRT in place of the reason.
int work(const Options& options, const Plan& plan) {
    try {
        const Resume resume = commands_done(options);
        if (options.dry_run) return dry_run(plan, resume);
        const std::optional<OutputFile> json = open_json(options);
        const std::unique_ptr<JobLog> log = open_log(options);
        if (!options.results.empty()) make_results_folder(options.results);
        const Work work{.feed = *plan.feed,
                        .command_template = plan.filled ? &*plan.filled : nullptr,
                        .resume = resume,
                        .descriptors = plan.descriptors,
                        .log = log.get()};
        Ledger ledger(what_to_keep(options));
        Result result;
        asyncio::run(run_commands(options, work, ledger, result),
                     {.sigint = asyncio::Sigint::ignore});
        // The guard does the same after the worker. It is done here as well, so that no process of
        // the batch runs any more when the report appears.
        if (!end_descendants()) say("a process could not be ended");
        // No command is left that a signal would have to end first.
        use_mask_of_worker();
        const int status = report(options, ledger, result, json);
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
        // The group is read before the fork, because the worker gets another one (`foreground.h`).
        options.jobs = 1;
        options.terminal_owner = ::getpgrp();
    }
    try {
        const Plan plan = make_plan(options);
        return guarded(batch_name, [&] { return work(options, plan); });
    } catch (const std::runtime_error& error) {
        say(error.what());
        return other_error;
    }
}

}  // namespace tool::batch
