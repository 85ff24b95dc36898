// How a batch runs and how it ends. The tasks and their duties are listed in runner.h.
//
// The end is the subtle part, because several things may happen in the same moment: the last
// command ends, a signal comes, the reader of the output goes away. `run` keeps this order:
//
//   1. wait for the reader and the workplaces, or for a cancellation
//   2. after a cancellation: end the commands, and wait without a limit until they have ended; then
//      wait for the workplaces, which may have a slow reader, and cancel them at a limit
//   3. show outputs and remarks that still wait, with a limit if the batch was stopped
//   4. count the commands that were not started
//
// The commands end first, whatever the outputs do. A terminal that was stopped with Ctrl-S must not
// keep a command alive beyond its limit.

#include "batch/run/runner.h"

#include "terminal/duration.h"
#include "terminal/terminal.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <optional>

#include <fmt/format.h>

namespace tool::batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

constexpr Duration between_progress_lines = 100ms;
/// When a stopped batch has ended its commands, it waits so long for its outputs to be read.
constexpr Duration last_words_limit = 1s;

}  // namespace

Runner::Runner(const Options& options, const Work& work, Ledger& ledger, Result& result)
    : options_(options),
      work_(work),
      ledger_(ledger),
      result_(result),
      foreground_(options.terminal_owner ? std::optional<Foreground>(*options.terminal_owner)
                                         : std::nullopt),
      attempts_{
          {options.timeout, options.grace, options.tries != 1}, children_, clock_, foreground_},
      room_([this](const std::string& text) { remark(text); }),
      intake_(work.feed, work.resume, intake_events()),
      launcher_(work.command_template, work.descriptors),
      console_({.output_to_errors = options.json == "-"}),
      printer_(console_, {.keep_order = options.keep_order, .tag = options.tag}),
      places_{.options = options,
              .attempts = attempts_,
              .launcher = launcher_,
              .console = console_,
              .printer = printer_,
              .room = room_,
              .output_failed = [this](int error) { output_failed(error); },
              .results_failed = [this] { result_.results_are_incomplete = true; }} {}

// -------------------------------------------------------------------------------- the whole batch

Coro<> Runner::run() {
    main_ = current_task();
    start_ = clock_.now();
    listener_ = create_task(listen());
    all_ = create_task(read_and_work());
    const bool moves =
        !options_.quiet && !options_.no_progress && !foreground_ && can_show_progress();
    if (moves) progress_ = create_task(show_progress());
    output_watch_ = create_task(watch_output());

    std::exception_ptr error;
    try {
        co_await shield(all_);
    } catch (...) {
        error = std::current_exception();
    }
    const bool is_whole = !error;
    // `obey` has cancelled this task. If the workplaces ended in the same moment, the request has
    // not been delivered yet and would end the next wait below. `uncancel` takes it back in both
    // cases. If another request is left, it came from outside and stays in effect.
    if (result_.stop_signal != 0 && main_.uncancel() == 0) error = nullptr;
    if (!is_whole) co_await end_all();
    is_over_ = true;
    co_await clear_up();
    ledger_.set_elapsed(clock_.now() - start_);
    co_await account_for_rest();
    if (!error) error = failure_;
    if (error) std::rethrow_exception(error);
}

/// First the commands end; this has no limit, because a process must never be left behind. Then
/// their outputs are shown, and a slow reader has a limited time to read them.
Coro<> Runner::end_all() {
    stop();
    co_await room_.wait_until_idle();
    words_end_ = get_running_loop().time() + last_words_limit;
    auto ended = gather_settled(all_);
    try {
        co_await wait_for(std::move(ended), last_words_limit);
    } catch (const TimeoutError&) {
        // The outputs that were not read are lost.
    }
}

/// Writes the texts that are left. No new text can arrive: all commands have ended, and the helpers
/// are ended first.
Coro<> Runner::clear_up() {
    co_await end_helpers();
    // A batch that was stopped without a signal (`--halt now`) has not set its deadline yet.
    if (stopping_ && !words_end_) words_end_ = get_running_loop().time() + last_words_limit;
    try {
        co_await timeout(patience(), [&]() -> Coro<> {
            co_await console_.show_progress({});
            co_await console_.end_remarks();
            co_await printer_.print_rest();
            if (!options_.quiet) co_await console_.end_open_line();
        });
    } catch (const TimeoutError&) {
    } catch (const OsError& refusal) {
        output_failed(refusal.error());
    }
    result_.patience = patience();
}

/// Ends the helper tasks before the members of the runner that they use.
Coro<> Runner::end_helpers() {
    std::vector<Task<>> helpers;
    for (const Task<>& helper : {listener_, reaper_, output_watch_, progress_}) {
        if (helper) helpers.push_back(helper);
    }
    for (const Task<>& helper : helpers) helper.cancel();
    co_await gather_settled(std::move(helpers));
}

/// How long the remaining outputs may wait for a slow reader. Empty: no limit.
std::optional<Duration> Runner::patience() const {
    if (!words_end_) return std::nullopt;
    return std::max(Duration::zero(), *words_end_ - get_running_loop().time());
}

void Runner::drain() {
    draining_ = true;
    intake_.stop();
}

void Runner::stop() {
    drain();
    // Only once: a workplace that ends its command must not be cancelled a second time.
    if (std::exchange(stopping_, true)) return;
    for (const Workplace& place : workplaces_) place.stop();
}

/// The output of the commands can no longer be delivered, so there is no reason to run them.
void Runner::output_failed(int error) {
    if (result_.output_error == 0) result_.output_error = error;
    stop();
}

/// Ends the batch as soon as the reader of standard output has closed it (`| head -1`). Without
/// this task, the batch would notice only when the next command ends, which may take hours.
Coro<> Runner::watch_output() {
    co_await console_.wait_until_unread();
    output_failed(EPIPE);
}

// ------------------------------------------------------------------------------ one after another

Coro<> Runner::read_and_work() {
    co_await task_group([this](TaskGroup& group) -> Coro<> {
        group_ = &group;
        group.create_task(read_input());
        co_return;
    });
}

/// Only this task opens workplaces (`command_came`), so the group takes children as long as this
/// task runs.
Coro<> Runner::read_input() {
    try {
        co_await intake_.read();
        if (!intake_.remark().empty()) remark(intake_.remark());
    } catch (...) {
        failed();
    }
}

Coro<> Runner::work(Workplace& place) {
    try {
        for (;;) {
            std::optional<Command> command = co_await intake_.backlog().take();
            if (!command) co_return;
            ++busy_;
            Job& job = place.begin(*command);
            co_await run_job(place, job);
            job_ended(job);
            co_await printer_.print(job);
            // With `--keep-order` another command may be the first unprinted one now. Its lines
            // may be shown from here on.
            for (Workplace& other : workplaces_) other.wake_shower();
            account_for(place);
            --busy_;
        }
    } catch (const OsError& refusal) {
        output_failed(refusal.error());
    } catch (const CancelledError&) {
        // `stop` has cancelled this task before its command was started. A cancellation after the
        // start ends the command and does not leave `run_job`.
        if (!stopping_) throw;
    } catch (...) {
        failed();
    }
}

/// A child of the group has met an error that is no failure of a command. If the error left the
/// child, the group would cancel workplaces that must finish.
void Runner::failed() noexcept {
    if (!failure_) failure_ = std::current_exception();
    stop();
}

Coro<> Runner::run_job(Workplace& place, Job& job) {
    do {
        co_await place.try_once(job);
        if (++job.tries == 1) job.begin = job.started_at - start_;
        job.end = job.started_at + job.seconds - start_;
        job.all_seconds += job.seconds;
        // With `--tty` the terminal sends Ctrl-C to the command alone, because the command's group
        // is in the foreground. The user means the whole batch.
        const bool was_typed = job.signal == SIGINT || job.signal == SIGQUIT;
        if (foreground_ && was_typed) obey(job.signal);
    } while (job.failed() && !stopping_ && result_.stop_signal == 0 && job.tries != options_.tries);
}

void Runner::job_ended(const Job& job) {
    tally_.add(job);
    // A command that the batch itself has interrupted is not logged, so `--resume` runs it again.
    if (work_.log != nullptr && job.status != Status::interrupted && !work_.log->add(job)) {
        result_.log_is_incomplete = true;
    }
    if (!result_.halted_by && options_.halt.reached(tally_)) {
        Job& reason = result_.halted_by.emplace();
        reason.status = job.status;
        reason.exit_code = job.exit_code;
        reason.signal = job.signal;
        drain();
        if (options_.halt.when == Halt::When::now) stop();
    }
}

void Runner::account_for(Workplace& place) {
    if (std::optional<Job> job = place.take_job()) ledger_.add(std::move(*job));
}

/// Counts the commands that were not started, and those that were interrupted. The rest of the
/// input is read for the count only if its end is sure to come soon.
Coro<> Runner::account_for_rest() {
    result_.input_error = intake_.error();
    for (Workplace& place : workplaces_) account_for(place);
    for (;;) {
        std::optional<Command> command = co_await intake_.next_rest();
        if (!command) break;
        ledger_.add(launcher_.job_of(*command, 0));
    }
    if (intake_.has_more() && intake_.error().empty()) ledger_.has_more();
}

// -------------------------------------------------------------------------------------- the input

IntakeEvents Runner::intake_events() {
    return {.command_came = [this] { command_came(); },
            .command_was_done = [this](const Command& command,
                                       const std::string& logged) { was_done(command, logged); }};
}

/// Opens a workplace if the idle workplaces cannot take all waiting commands. Opening them on
/// demand keeps `-j 0` cheap: a batch of three commands gets three workplaces, not one for every
/// possible command.
void Runner::command_came() {
    if (workplaces_.size() - busy_ >= intake_.backlog().size()) return;
    if (options_.jobs != 0 && workplaces_.size() >= options_.jobs) return;
    if (!room_.has_one_more(workplaces_.size())) return;
    Workplace& place = workplaces_.emplace_back(workplaces_.size() + 1, places_);
    place.task = group_->create_task(work(place));
}

/// Counts a command that the job log lists as done. `--resume` goes by the number alone, so a
/// changed input would skip the wrong command. The remark tells the user of it.
void Runner::was_done(const Command& command, const std::string& logged) {
    Job job = launcher_.job_of(command, 0);
    job.status = Status::skipped;
    if (launcher_.text_is_fixed() && logged != job.command) {
        remark(
            fmt::format("the job log has another command for number {}: {}", job.number, logged));
    }
    printer_.pass_over(job.number);
    ledger_.add(std::move(job));
}

void Runner::remark(std::string_view text) {
    if (!options_.quiet) console_.remark(fmt::format("asyncio batch: {}\n", text));
}

// ------------------------------------------------------------------------------------ the signals

Coro<> Runner::listen() {
    for (;;) obey(co_await signals_.next());
}

void Runner::obey(int signal) {
    switch (signal) {
        case SIGCHLD:
            // A single reaper is enough: it looks again until no dead child is left.
            if (!reaper_ || reaper_.done()) reaper_ = create_task(children_.look());
            return;
        case SIGTSTP: return be_stopped();
        case SIGUSR1: return list_running();
        case SIGUSR2: return drain();
        default: break;
    }
    // Only the first request counts here. The guard answers the second request with SIGKILL.
    if (is_over_ || result_.stop_signal != 0) return;
    result_.stop_signal = signal;
    drain();
    main_.cancel();
}

/// Ctrl-Z: stops the commands, then this process. The call of `raise` returns when a SIGCONT
/// continues this process, and then the commands are continued as well. The time in between does
/// not count for their limits.
void Runner::be_stopped() {
    const TimePoint begin = get_running_loop().time();
    for (const Workplace& place : workplaces_) place.batch_stops();
    children_.stop_all();
    ::raise(SIGSTOP);
    clock_.was_stopped_for(get_running_loop().time() - begin);
    for (const Workplace& place : workplaces_) place.batch_goes_on();
    children_.continue_all();
}

void Runner::list_running() {
    std::string list = fmt::format("asyncio batch: {} running\n", room_.running());
    for (const Workplace& place : workplaces_) {
        const Job* job = place.running();
        if (job == nullptr) continue;
        const double seconds = in_seconds(clock_.now() - job->started_at);
        list += fmt::format("{:>10.2f} s  {}\n", seconds, job->command);
    }
    console_.remark(list);
}

// ----------------------------------------------------------------------------------- the progress

Coro<> Runner::show_progress() {
    for (;;) {
        co_await sleep(between_progress_lines);
        const Progress now{.done = tally_.done(),
                           .running = room_.running(),
                           .failed = tally_.failures(),
                           .total = intake_.known(),
                           .has_more = intake_.has_more(),
                           .elapsed = clock_.now() - start_};
        co_await console_.show_progress(
            progress_line(now, static_cast<std::size_t>(terminal_columns()) - 1));
    }
}

}  // namespace tool::batch
