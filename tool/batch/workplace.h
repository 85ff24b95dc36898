#pragma once
// A place where one command runs after the other, and what belongs to the one that runs now: its
// job, the files of its results, and what shows its lines meanwhile.
//
// Thread-safety: loop thread only.

#include <asyncio.h>

#include "batch/attempt.h"
#include "batch/console.h"
#include "batch/job.h"
#include "batch/launch.h"
#include "batch/line_shower.h"
#include "batch/options.h"
#include "batch/printer.h"
#include "batch/results.h"
#include "batch/room.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

namespace batch {

/// What workplaces have in common.
struct WorkplaceSettings {
    const Options& options;
    const AttemptSettings& attempts;
    const Launcher& launcher;
    Console& console;
    Printer& printer;
    Room& room;
    /// Told what standard output has refused with.
    std::function<void(int error)> output_failed;
    /// A file of the results could not be written.
    std::function<void()> results_failed;
};

class Workplace {
public:
    /// `slot` is its number, from 1.
    Workplace(std::size_t slot, const WorkplaceSettings& settings);
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;

    /// Makes the command the one that runs here. The job stays here until it is taken.
    Job& begin(const Command& command);
    std::optional<Job> take_job() { return std::exchange(job_, std::nullopt); }

    /// Runs the job of this place once. When the system has no descriptors or processes to give,
    /// it waits for others to end.
    asyncio::Coro<> try_once(Job& job);

    /// The job of a command that runs at this moment; null if none does.
    const Job* running() const noexcept;

    /// Ends the command that runs here, unless it is being ended already.
    void stop() const;

    /// The whole batch is about to stop, or goes on.
    void batch_stops() const noexcept;
    void batch_goes_on() const noexcept;

    /// The command may have come to be the one whose lines are shown.
    void wake_shower() noexcept;

    /// Runs what comes to this place.
    asyncio::Task<> task;

private:
    asyncio::Coro<> run_attempt(Job& job, Attempt& attempt);
    void has_written(Stream stream, std::string_view piece);

    const WorkplaceSettings& settings_;
    std::size_t slot_;
    /// None between two commands.
    std::optional<Job> job_;
    Launch launch_;
    /// Null while it is not being tried.
    Attempt* attempt_ = nullptr;
    /// With `--line-buffer`, while it is being tried.
    LineShower* shower_ = nullptr;
    ResultFiles results_;
};

}  // namespace batch
