#include "batch/runner.h"

#include "batch/duration.h"
#include "batch/terminal.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <optional>

#include <fmt/format.h>

namespace batch {
namespace {

using namespace std::chrono_literals;
using namespace asyncio;

constexpr Duration between_progress_lines = 100ms;
/// How long a batch that is being stopped waits, when its commands are ended, for somebody to read
/// what it has to say.
constexpr Duration last_words_limit = 1s;
constexpr Duration between_looks = 2ms;

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
    reader_ = create_task(intake_.read());
    const bool moves =
        !options_.quiet && !options_.no_progress && !foreground_ && can_show_progress();
    if (moves) progress_ = create_task(show_progress());
    output_watch_ = create_task(watch_output());

    std::exception_ptr error;
    try {
        co_await wait_for_workplaces();
    } catch (...) {
        error = std::current_exception();
    }
    const bool is_whole = !error;
    // The cancellation was ours, and if the workplaces ended in the same moment, it is yet to come.
    if (result_.stop_signal != 0 && main_.uncancel() == 0) error = nullptr;
    if (!is_whole) co_await end_all();
    is_over_ = true;
    co_await clear_up();
    ledger_.set_elapsed(clock_.now() - start_);
    co_await end_workplaces();
    co_await account_for_rest();
    if (!error) error = failure_;
    if (error) std::rethrow_exception(error);
}

std::vector<Task<>> Runner::tasks() const {
    std::vector<Task<>> all;
    all.reserve(workplaces_.size());
    for (const Workplace& place : workplaces_) all.push_back(place.task);
    return all;
}

/// A cancellation is not passed on to the workplaces: those that end a command go on doing so. No
/// workplace is opened when the reader has ended.
Coro<> Runner::wait_for_workplaces() {
    co_await shield(reader_);
    if (!intake_.remark().empty()) remark(intake_.remark());
    const Future<> all = gather(tasks());
    co_await shield(all);
}

/// First the commands end; that takes as long as it takes. Then what they wrote is shown, and who
/// does not read it has a moment to do so.
Coro<> Runner::end_all() {
    stop();
    while (room_.running() > 0) co_await sleep(between_looks);
    words_end_ = get_running_loop().time() + last_words_limit;
    auto all = gather_settled(tasks());
    try {
        co_await wait_for(std::move(all), last_words_limit);
    } catch (const TimeoutError&) {
        // What has not been read is lost.
    }
}

/// Those that still wait for a reader who does not read.
Coro<> Runner::end_workplaces() {
    for (const Workplace& place : workplaces_) place.task.cancel();
    co_await gather_settled(tasks());
}

Coro<> Runner::clear_up() {
    co_await end_helpers();
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

/// They use what goes with the runner, so they go first.
Coro<> Runner::end_helpers() {
    std::vector<Task<>> helpers;
    for (const Task<>& helper : {listener_, reaper_, output_watch_, progress_}) {
        if (helper) helpers.push_back(helper);
    }
    for (const Task<>& helper : helpers) helper.cancel();
    co_await gather_settled(std::move(helpers));
}

/// How long a reader may keep us from saying what is left to say. Nothing: for ever.
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
    if (std::exchange(stopping_, true)) return;
    for (const Workplace& place : workplaces_) place.stop();
}

/// Nobody will ever see what the commands have to say, so they end.
void Runner::output_failed(int error) {
    if (result_.output_error == 0) result_.output_error = error;
    stop();
}

/// `| head -1` is to end the batch when `head` ends, not when the next command has something to
/// say.
Coro<> Runner::watch_output() {
    co_await console_.wait_until_unread();
    output_failed(EPIPE);
}

// ------------------------------------------------------------------------------ one after another

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
            for (Workplace& other : workplaces_) other.wake_shower();
            account_for(place);
            --busy_;
        }
    } catch (const OsError& refusal) {
        output_failed(refusal.error());
    } catch (const CancelledError&) {
        // `stop`, before the command was started.
        if (!stopping_) throw;
    } catch (...) {
        if (!failure_) failure_ = std::current_exception();
        stop();
    }
}

Coro<> Runner::run_job(Workplace& place, Job& job) {
    do {
        co_await place.try_once(job);
        if (++job.tries == 1) job.begin = job.started_at - start_;
        job.end = job.started_at + job.seconds - start_;
        job.all_seconds += job.seconds;
        // Ctrl-C on a terminal that was lent went to the command alone, and means the batch.
        const bool was_typed = job.signal == SIGINT || job.signal == SIGQUIT;
        if (foreground_ && was_typed) obey(job.signal);
    } while (job.failed() && !stopping_ && result_.stop_signal == 0 && job.tries != options_.tries);
}

void Runner::job_ended(const Job& job) {
    tally_.add(job);
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

/// What was not started, and what was cut off.
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

/// Opens a workplace, if those that are there have enough to do.
void Runner::command_came() {
    if (workplaces_.size() - busy_ >= intake_.backlog().size()) return;
    if (options_.jobs != 0 && workplaces_.size() >= options_.jobs) return;
    if (!room_.has_one_more(workplaces_.size())) return;
    Workplace& place = workplaces_.emplace_back(workplaces_.size() + 1, places_);
    place.task = create_task(work(place));
}

void Runner::was_done(const Command& command, const std::string& logged) {
    Job job = launcher_.job_of(command, 0);
    job.status = Status::skipped;
    if (launcher_.text_is_fixed() && logged != job.command) {
        remark(fmt::format("number {} was another command when it ran: {}", job.number, logged));
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
            if (!reaper_ || reaper_.done()) reaper_ = create_task(children_.look());
            return;
        case SIGTSTP: return be_stopped();
        case SIGUSR1: return list_running();
        case SIGUSR2: return drain();
        default: break;
    }
    if (is_over_ || result_.stop_signal != 0) return;
    result_.stop_signal = signal;
    drain();
    main_.cancel();
}

/// Ctrl-Z. What continues this process continues the commands; none of them has lost any time.
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
        const Progress now{tally_, room_.running(), intake_.known(), intake_.has_more(),
                           clock_.now() - start_};
        co_await console_.show_progress(
            progress_line(now, static_cast<std::size_t>(terminal_columns()) - 1));
    }
}

}  // namespace batch
