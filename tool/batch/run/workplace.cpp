// How a workplace tries its command, waits for room, and connects the output to those parts that
// want it while the command runs.
//
// Errors of a start are of two kinds. A shortage waits and tries again (`room.h`). Every other
// refusal is recorded as the end of the command, with the exit code that a shell gives to a program
// that cannot be run. So the batch continues with its other commands.

#include "batch/run/workplace.h"

#include "exit_codes.h"

#include <chrono>
#include <exception>

#include <fmt/format.h>

namespace tool::batch {
namespace {

using namespace asyncio;

void record_refusal(Job& job, const OsError& refusal, TimePoint now) {
    job.started = std::chrono::system_clock::now();
    job.started_at = now;
    job.status = Status::exited;
    job.exit_code = cannot_run;
    job.errors.append(fmt::format("asyncio batch: {}\n", refusal.what()));
}

}  // namespace

Workplace::Workplace(std::size_t slot, const WorkplaceSettings& settings)
    : settings_(settings), slot_(slot) {
    // Without a reader of the pieces, the call is left empty, which costs nothing for each piece.
    if (!settings.options.line_buffer && settings.options.results.empty()) return;
    launch_.has_written = [this](Stream stream, std::string_view piece) {
        has_written(stream, piece);
    };
}

Job& Workplace::begin(const Command& command) {
    Job& job = job_.emplace(settings_.launcher.job_of(command, slot_));
    settings_.launcher.prepare(launch_, job, command);
    return job;
}

Coro<> Workplace::try_once(Job& job) {
    Room& room = settings_.room;
    for (std::size_t refusals = 1;; ++refusals) {
        std::optional<OsError> refusal;
        Attempt attempt(job, launch_, settings_.attempts);
        attempt_ = &attempt;
        try {
            co_await run_attempt(job, attempt);
        } catch (const OsError& error) {
            refusal = error;
        } catch (...) {
            attempt_ = nullptr;
            throw;
        }
        const bool again = refusal && co_await room.was_made(*refusal, refusals);
        attempt_ = nullptr;
        if (again) continue;
        if (refusal) record_refusal(job, *refusal, settings_.attempts.clock.now());
        co_await room.wake_one();
        co_return;
    }
}

/// Runs the attempt, together with the task that shows its lines. An error is kept until the shower
/// has ended, because the shower refers to objects in this frame.
Coro<> Workplace::run_attempt(Job& job, Attempt& attempt) {
    const Options& options = settings_.options;
    if (!options.results.empty()) results_ = ResultFiles(options.results, job);
    LineShower shower(job, settings_.console, settings_.printer, settings_.output_failed);
    Task<> shown;
    if (options.line_buffer) {
        shower_ = &shower;
        shown = create_task(shower.show());
    }
    std::exception_ptr error;
    settings_.room.begin();
    try {
        co_await attempt.run();
    } catch (...) {
        error = std::current_exception();
    }
    settings_.room.end();
    shower.end();
    if (shown) co_await shown;
    shower_ = nullptr;
    if (error) std::rethrow_exception(error);
}

void Workplace::has_written(Stream stream, std::string_view piece) {
    wake_shower();
    if (settings_.options.results.empty()) return;
    if (!results_.write(stream, piece)) settings_.results_failed();
}

const Job* Workplace::running() const noexcept {
    const bool runs = attempt_ != nullptr && job_ && job_->status == Status::running;
    return runs ? &*job_ : nullptr;
}

void Workplace::stop() const {
    if (attempt_ != nullptr && attempt_->is_cancellable()) task.cancel();
}

void Workplace::batch_stops() const noexcept {
    if (attempt_ != nullptr) attempt_->batch_stops();
}

void Workplace::batch_goes_on() const noexcept {
    if (attempt_ != nullptr) attempt_->batch_goes_on();
}

void Workplace::wake_shower() noexcept {
    if (shower_ != nullptr) shower_->wake();
}

}  // namespace tool::batch
