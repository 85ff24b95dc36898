#pragma once
// The batch itself: so many workplaces, each of which takes the next command, runs it, shows what
// it wrote, and takes the next.

#include <asyncio.h>

#include "batch/attempt.h"
#include "batch/children.h"
#include "batch/clock.h"
#include "batch/console.h"
#include "batch/foreground.h"
#include "batch/joblog.h"
#include "batch/options.h"
#include "batch/printer.h"
#include "batch/progress.h"
#include "batch/signals.h"
#include "batch/tally.h"
#include "batch/turn.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace batch {

/// What is known of a batch that has run.
struct Result {
    asyncio::Duration elapsed{};
    /// The job at which `Options::halt` was fulfilled; null if it was not.
    const Job* halted_by = nullptr;
    /// What standard output refused with; 0 if it did not. EPIPE: nobody reads it any more.
    int output_error = 0;
    /// A line of the job log could not be written.
    bool log_is_incomplete = false;
    /// The signal that has asked for the end; 0: none has.
    int stop_signal = 0;
    /// How long a reader may keep a batch that was told to end from saying how it stands. Nothing:
    /// for ever.
    std::optional<asyncio::Duration> patience = {};
};

/// To be made and used inside a running loop, by its main task.
class Runner {
public:
    /// Runs `options.jobs` at once. `log` may be null. All of them must live as long as the loop.
    Runner(const Options& options, std::span<Job> jobs, JobLog* log, Result& result);

    /// Runs every job that is `not_started`, and fills in the result.
    /// A signal that asks for the end (`signals.h`) ends the running commands; so does a
    /// cancellation, which leaves as CancelledError when that is done.
    asyncio::Coro<> run();

private:
    /// Runs one command after another.
    struct Workplace {
        asyncio::Task<> task;
        /// Null between two commands.
        Attempt* attempt = nullptr;
        const Job* job = nullptr;
    };

    asyncio::Coro<> work(Workplace& place);
    asyncio::Coro<> run_job(Workplace& place, Job& job);
    asyncio::Coro<> try_job(Workplace& place, Job& job);
    asyncio::Coro<bool> room_was_made(const asyncio::OsError& refusal, std::size_t refusals);
    Job* next_job() noexcept;
    void job_ended(const Job& job);

    asyncio::Coro<> listen();
    void obey(int signal);
    void be_stopped();
    void list_running();

    void stop();
    void open_workplaces();
    std::vector<asyncio::Task<>> tasks() const;
    asyncio::Coro<> wait_for_workplaces();
    asyncio::Coro<> end_all();
    asyncio::Coro<> clear_up();
    asyncio::Coro<> end_helpers();
    std::optional<asyncio::Duration> patience() const;
    asyncio::Coro<> show_progress();
    asyncio::Coro<> watch_output();
    void output_failed(int error);
    void note_shortage(const std::string& reason);

    const Options& options_;
    std::span<Job> jobs_;
    JobLog* log_;
    Result& result_;
    Clock clock_;
    Children children_;
    std::optional<Foreground> foreground_;
    const AttemptSettings settings_;
    SignalReader signals_;
    Console console_;
    Printer printer_;

    /// The task that runs the batch.
    asyncio::TaskRef main_;
    asyncio::TimePoint start_;
    std::vector<Workplace> workplaces_;
    asyncio::Task<> listener_;
    asyncio::Task<> reaper_;
    asyncio::Task<> progress_;
    asyncio::Task<> output_watch_;
    std::size_t next_ = 0;
    /// How many commands run, or are about to.
    std::size_t running_ = 0;
    Tally tally_;
    /// Workplaces that want to start a command for which the system has no room.
    Line waiting_for_room_;
    bool shortage_was_noted_ = false;

    /// No more commands are started.
    bool draining_ = false;
    /// Those that run are being ended.
    bool stopping_ = false;
    /// All have ended, so there is nothing left that a signal could end.
    bool is_over_ = false;
    /// When nobody is waited for any more who does not read what a stopped batch has to say.
    std::optional<asyncio::TimePoint> words_end_;
};

}  // namespace batch
