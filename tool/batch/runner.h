#pragma once
// The batch itself: so many workplaces, each of which takes the next command, runs it, shows what
// it wrote, and takes the next. A reader beside them brings the commands as they come, and a
// workplace is opened when there is a command for it.

#include <asyncio.h>

#include "batch/attempt.h"
#include "batch/children.h"
#include "batch/clock.h"
#include "batch/console.h"
#include "batch/exit_status.h"
#include "batch/foreground.h"
#include "batch/intake.h"
#include "batch/joblog.h"
#include "batch/launch.h"
#include "batch/ledger.h"
#include "batch/options.h"
#include "batch/printer.h"
#include "batch/progress.h"
#include "batch/room.h"
#include "batch/signals.h"
#include "batch/tally.h"
#include "batch/template.h"
#include "batch/workplace.h"

#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batch {

/// What a batch is to run. All of it must live as long as the loop.
struct Work {
    Feed& feed;
    /// Null where the commands are complete as they come.
    const Template* command_template = nullptr;
    const Resume& resume;
    /// What the commands inherit.
    std::span<const int> descriptors;
    /// May be null.
    JobLog* log = nullptr;
};

/// What is known of a batch that has run, beside the ledger.
struct Result {
    /// The job at which `Options::halt` was fulfilled, as far as the exit status needs it.
    std::optional<Job> halted_by;
    /// Why the input could not be read to its end; empty: it could.
    std::string input_error;
    /// What standard output refused with; 0 if it did not. EPIPE: nobody reads it any more.
    int output_error = 0;
    /// A line of the job log could not be written.
    bool log_is_incomplete = false;
    /// The signal that has asked for the end; 0: none has.
    int stop_signal = 0;
    /// How long a reader may keep a batch that was told to end from saying how it stands. Nothing:
    /// for ever.
    std::optional<asyncio::Duration> patience = {};
    /// A file of `Options::results` could not be written.
    bool results_are_incomplete = false;
};

/// To be made and used inside a running loop, by its main task.
class Runner {
public:
    /// Runs `options.jobs` at once. All of them must live as long as the loop.
    Runner(const Options& options, const Work& work, Ledger& ledger, Result& result);

    /// Runs every command that comes, and fills in the ledger and the result.
    /// A signal that asks for the end (`signals.h`) ends the running commands; so does a
    /// cancellation, which leaves as CancelledError when that is done.
    asyncio::Coro<> run();

private:
    asyncio::Coro<> work(Workplace& place);
    asyncio::Coro<> run_job(Workplace& place, Job& job);
    void job_ended(const Job& job);
    void account_for(Workplace& place);
    asyncio::Coro<> account_for_rest();

    asyncio::Coro<> listen();
    void obey(int signal);
    void be_stopped();
    void list_running();

    IntakeEvents intake_events();
    void command_came();
    void was_done(const Command& command, const std::string& logged);
    void remark(std::string_view text);

    void drain();
    void stop();
    std::vector<asyncio::Task<>> tasks() const;
    asyncio::Coro<> wait_for_workplaces();
    asyncio::Coro<> end_all();
    asyncio::Coro<> end_workplaces();
    asyncio::Coro<> clear_up();
    asyncio::Coro<> end_helpers();
    std::optional<asyncio::Duration> patience() const;
    asyncio::Coro<> show_progress();
    asyncio::Coro<> watch_output();
    void output_failed(int error);

    const Options& options_;
    const Work& work_;
    Ledger& ledger_;
    Result& result_;
    Clock clock_;
    Children children_;
    std::optional<Foreground> foreground_;
    const AttemptSettings attempts_;
    Room room_;
    SignalReader signals_;
    Intake intake_;
    const Launcher launcher_;
    Console console_;
    Printer printer_;
    const WorkplaceSettings places_;

    /// The task that runs the batch.
    asyncio::TaskRef main_;
    asyncio::TimePoint start_;
    /// Grows at its end; the workplaces stay where they are.
    std::deque<Workplace> workplaces_;
    /// How many workplaces have a command.
    std::size_t busy_ = 0;
    asyncio::Task<> reader_;
    asyncio::Task<> listener_;
    asyncio::Task<> reaper_;
    asyncio::Task<> progress_;
    asyncio::Task<> output_watch_;
    Tally tally_;

    /// No more commands are started.
    bool draining_ = false;
    /// Those that run are being ended.
    bool stopping_ = false;
    /// All have ended, so there is nothing left that a signal could end.
    bool is_over_ = false;
    /// When nobody is waited for any more who does not read what a stopped batch has to say.
    std::optional<asyncio::TimePoint> words_end_;
    /// What went wrong in a workplace, and is no failure of a command.
    std::exception_ptr failure_;
};

}  // namespace batch
