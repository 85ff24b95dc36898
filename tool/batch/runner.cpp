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
/// How often a command is refused, without any other running that would make room, until it fails.
constexpr std::size_t most_refusals = 100;
constexpr Duration between_refusals = 10ms;

/// Exit codes of shells for a command that is there and cannot be run.
constexpr int cannot_run = 126;

bool is_shortage(const OsError& refusal) noexcept {
    const int error = refusal.error();
    return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM;
}

void record_refusal(Job& job, const OsError& refusal, TimePoint now) {
    job.started = std::chrono::system_clock::now();
    job.started_at = now;
    job.status = Status::exited;
    job.exit_code = cannot_run;
    job.errors.append(fmt::format("asyncio batch: {}\n", refusal.what()));
}

}  // namespace

Runner::Runner(const Options& options, std::span<Job> jobs, JobLog* log, Result& result)
    : options_(options),
      jobs_(jobs),
      log_(log),
      result_(result),
      foreground_(options.terminal_owner ? std::optional<Foreground>(*options.terminal_owner)
                                         : std::nullopt),
      settings_{
          {options.timeout, options.grace, options.tries != 1}, children_, clock_, foreground_},
      console_({.output_to_errors = options.json == "-"}),
      printer_(console_, jobs, {.keep_order = options.keep_order, .tag = options.tag}) {}

// -------------------------------------------------------------------------------- the whole batch

Coro<> Runner::run() {
    main_ = current_task();
    start_ = clock_.now();
    listener_ = create_task(listen());
    open_workplaces();
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
    result_.elapsed = clock_.now() - start_;
    if (error) std::rethrow_exception(error);
}

void Runner::open_workplaces() {
    workplaces_.resize(options_.jobs);
    for (Workplace& place : workplaces_) place.task = create_task(work(place));
}

std::vector<Task<>> Runner::tasks() const {
    std::vector<Task<>> all;
    all.reserve(workplaces_.size());
    for (const Workplace& place : workplaces_) all.push_back(place.task);
    return all;
}

/// A cancellation is not passed on to the workplaces: those that end a command go on doing so.
Coro<> Runner::wait_for_workplaces() {
    const Future<> all = gather(tasks());
    co_await shield(all);
}

/// First the commands end; that takes as long as it takes. Then what they wrote is shown, and who
/// does not read it has a moment to do so.
Coro<> Runner::end_all() {
    stop();
    while (running_ > 0) co_await sleep(between_looks);
    words_end_ = get_running_loop().time() + last_words_limit;
    auto all = gather_settled(tasks());
    try {
        co_await wait_for(std::move(all), last_words_limit);
    } catch (const TimeoutError&) {
        // What has not been read is lost.
    }
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

void Runner::stop() {
    draining_ = true;
    if (std::exchange(stopping_, true)) return;
    for (Workplace& place : workplaces_) {
        if (place.attempt != nullptr && place.attempt->is_cancellable()) place.task.cancel();
    }
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
        while (Job* job = next_job()) {
            co_await run_job(place, *job);
            job_ended(*job);
            co_await printer_.print(*job);
        }
    } catch (const OsError& refusal) {
        output_failed(refusal.error());
    } catch (const CancelledError&) {
        // `stop`, before the command was started.
        if (!stopping_) throw;
    }
}

Job* Runner::next_job() noexcept {
    if (draining_) return nullptr;
    while (next_ < jobs_.size() && jobs_[next_].status == Status::skipped) ++next_;
    return next_ < jobs_.size() ? &jobs_[next_++] : nullptr;
}

Coro<> Runner::run_job(Workplace& place, Job& job) {
    do {
        co_await try_job(place, job);
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
    if (log_ != nullptr && job.status != Status::interrupted && !log_->add(job)) {
        result_.log_is_incomplete = true;
    }
    if (result_.halted_by == nullptr && options_.halt.reached(tally_)) {
        result_.halted_by = &job;
        draining_ = true;
        if (options_.halt.when == Halt::When::now) stop();
    }
}

// -------------------------------------------------------------------------- when there is no room

/// One try. When the system has no descriptors or processes to give, nothing is dropped: the
/// command waits for others to end.
Coro<> Runner::try_job(Workplace& place, Job& job) {
    for (std::size_t refusals = 1;; ++refusals) {
        std::optional<OsError> refusal;
        Attempt attempt(job, settings_);
        place.attempt = &attempt;
        place.job = &job;
        ++running_;
        try {
            co_await attempt.run();
        } catch (const OsError& error) {
            refusal = error;
        } catch (...) {
            place.attempt = nullptr;
            --running_;
            throw;
        }
        --running_;
        const bool again = refusal && co_await room_was_made(*refusal, refusals);
        place.attempt = nullptr;
        if (again) continue;
        if (refusal) record_refusal(job, *refusal, clock_.now());
        waiting_for_room_.wake_one();
        co_return;
    }
}

/// Whether it is worth trying once more.
Coro<bool> Runner::room_was_made(const OsError& refusal, std::size_t refusals) {
    if (!is_shortage(refusal)) co_return false;
    if (running_ > 0) {
        note_shortage(refusal.code().message());
        co_await waiting_for_room_.wait();
        co_return true;
    }
    if (refusals >= most_refusals) co_return false;
    co_await sleep(between_refusals);
    co_return true;
}

void Runner::note_shortage(const std::string& reason) {
    if (options_.quiet || std::exchange(shortage_was_noted_, true)) return;
    console_.remark(
        fmt::format("asyncio batch: {} commands run at once, not more: {}\n", running_, reason));
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
        case SIGUSR2: draining_ = true; return;
        default: break;
    }
    if (is_over_ || result_.stop_signal != 0) return;
    result_.stop_signal = signal;
    draining_ = true;
    main_.cancel();
}

/// Ctrl-Z. What continues this process continues the commands; none of them has lost any time.
void Runner::be_stopped() {
    const TimePoint begin = get_running_loop().time();
    for (const Workplace& place : workplaces_) {
        if (place.attempt != nullptr) place.attempt->batch_stops();
    }
    children_.stop_all();
    ::raise(SIGSTOP);
    clock_.was_stopped_for(get_running_loop().time() - begin);
    for (const Workplace& place : workplaces_) {
        if (place.attempt != nullptr) place.attempt->batch_goes_on();
    }
    children_.continue_all();
}

void Runner::list_running() {
    std::string list = fmt::format("asyncio batch: {} running\n", running_);
    for (const Workplace& place : workplaces_) {
        if (place.attempt == nullptr || place.job->status != Status::running) continue;
        const double seconds = in_seconds(clock_.now() - place.job->started_at);
        list += fmt::format("{:>10.2f} s  {}\n", seconds, place.job->command);
    }
    console_.remark(std::move(list));
}

// ----------------------------------------------------------------------------------- the progress

Coro<> Runner::show_progress() {
    const std::size_t total = jobs_.size() - count(jobs_).skipped;
    for (;;) {
        co_await sleep(between_progress_lines);
        const Progress now{tally_, running_, total, clock_.now() - start_};
        co_await console_.show_progress(
            progress_line(now, static_cast<std::size_t>(terminal_columns()) - 1));
    }
}

}  // namespace batch
