#pragma once
// A workplace: commands run in it one after another. It holds everything of the current command:
// its job, the files of its results, and the object that shows its lines.
//
// A workplace is not the loop over its commands; this loop is `Runner::work`. The separation keeps
// the decisions about the whole batch (retries, `--halt`, the log) in one class, and the parts that
// live as long as one command in another.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include "batch/job/job.h"
#include "batch/options/options.h"
#include "batch/output/line_shower.h"
#include "batch/output/printer.h"
#include "batch/output/results.h"
#include "batch/run/attempt.h"
#include "batch/run/launch.h"
#include "batch/run/room.h"
#include "terminal/console.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

namespace tool::batch {

/// The settings that all workplaces share.
struct WorkplaceSettings {
    const Options& options;
    const AttemptSettings& attempts;
    const Launcher& launcher;
    Console& console;
    Printer& printer;
    Room& room;
    /// Called with the errno of a failed write to standard output.
    std::function<void(int error)> output_failed;
    /// Called when a file of the results could not be written.
    std::function<void()> results_failed;
};

class Workplace {
public:
    /// `slot` is the number of the workplace, from 1.
    Workplace(std::size_t slot, const WorkplaceSettings& settings);
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;

    /// Makes `command` the current one and returns its job, which stays here until `take_job`.
    Job& begin(const Command& command);
    std::optional<Job> take_job() { return std::exchange(job_, std::nullopt); }

    /// Runs the job of this workplace once. If the system has no descriptors or processes left, it
    /// waits until another command has ended.
    asyncio::Coro<> try_once(Job& job);

    /// The job of the command that runs at this moment; null if none runs.
    const Job* running() const noexcept;

    /// Ends the current command, unless it is already being ended.
    void stop() const;

    /// The whole batch is about to stop, or continues after a stop.
    void batch_stops() const noexcept;
    void batch_goes_on() const noexcept;

    /// The command may have become the one whose lines are shown.
    void wake_shower() noexcept;

    /// The task of `Runner::work` for this workplace.
    asyncio::Task<> task;

private:
    asyncio::Coro<> run_attempt(Job& job, Attempt& attempt);
    void has_written(Stream stream, std::string_view piece);

    const WorkplaceSettings& settings_;
    std::size_t slot_;
    /// Empty between two commands.
    std::optional<Job> job_;
    Launch launch_;
    /// The current try, which lives in the frame of `try_once`; null between two tries.
    Attempt* attempt_ = nullptr;
    /// With `--line-buffer`: lives in the frame of `run_attempt`; null between two tries.
    LineShower* shower_ = nullptr;
    ResultFiles results_;
};

}  // namespace tool::batch
