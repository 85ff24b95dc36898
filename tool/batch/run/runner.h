#pragma once
// The batch itself: a number of workplaces. Each workplace takes the next command, runs it, shows
// its output, and takes the next command. A reader task brings the commands as they come, and the
// runner opens a workplace when there is a command for it.
//
// The tasks of a runner:
//
//   main_           runs the batch; a signal that asks for the end cancels it
//   all_            a task group, whose children are:
//     the reader      reads the input, fills the backlog (`intake.h`), opens workplaces
//     workplaces_     one task each: takes from the backlog, runs, prints
//   listener_       takes signals and obeys them
//   reaper_         collects orphans that have died, after each SIGCHLD
//   progress_       repaints the progress line
//   output_watch_   waits until the reader of standard output has closed it
//
// A batch ends in one of two ways. `drain` starts no more commands and lets the running commands
// end. `stop` drains and also ends the running commands. All reasons to end come down to these two:
// a signal, `--halt`, a failed output, damaged input.
//
// The group has a task of its own, and the runner waits for it under a shield. A group cancels all
// of its children at once when it is cancelled or when a child fails. Here a cancellation must
// reach a workplace only as long as its command can still be ended (`Attempt::is_cancellable`); a
// workplace that already ends its command must finish that. So `stop` cancels the workplaces one by
// one, the children keep their errors for themselves (`failure_`), and the group itself is
// cancelled only when no command runs any more. `map_concurrent` does not fit for the same reason.
//
// The helpers (`listener_` and the tasks after it) are in no group: an error in one of them must
// not end the others, and they are all ended at the same place (`end_helpers`).

#include <asyncio.h>

#include "batch/job/exit_status.h"
#include "batch/job/ledger.h"
#include "batch/job/tally.h"
#include "batch/options/options.h"
#include "batch/output/printer.h"
#include "batch/processes/children.h"
#include "batch/processes/clock.h"
#include "batch/processes/foreground.h"
#include "batch/report/joblog.h"
#include "batch/run/attempt.h"
#include "batch/run/intake.h"
#include "batch/run/launch.h"
#include "batch/run/room.h"
#include "batch/run/workplace.h"
#include "batch/shell/template.h"
#include "guard/signals.h"
#include "terminal/console.h"
#include "terminal/progress_line.h"

#include <cstddef>
#include <deque>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tool::batch {

/// The commands of a batch and their surroundings. Every object that it refers to must live as long
/// as the loop.
struct Work {
    Feed& feed;
    /// Null if the commands need no template.
    const Template* command_template = nullptr;
    const Resume& resume;
    /// The descriptors that the commands inherit.
    std::span<const int> descriptors;
    /// May be null.
    JobLog* log = nullptr;
};

/// The end of a batch, beside the ledger: why it ended, and which outputs are not complete.
struct Result {
    /// The job that fulfilled `Options::halt`. Only the fields that the exit status needs are set.
    std::optional<Job> halted_by;
    /// Why the input could not be read to its end. Empty if it could.
    std::string input_error;
    /// The errno of a failed write to standard output; 0 if every write succeeded. EPIPE means that
    /// its reader has closed it.
    int output_error = 0;
    /// A line of the job log could not be written.
    bool log_is_incomplete = false;
    /// The signal that asked for the end; 0 if no signal did.
    int stop_signal = 0;
    /// How long the report may wait for a slow reader. A batch that was told to end must not wait
    /// for ever. Empty: no limit.
    std::optional<asyncio::Duration> patience = {};
    /// A file of `Options::results` could not be written.
    bool results_are_incomplete = false;
};

/// The main task of a running loop makes it and uses it.
class Runner {
public:
    /// Runs `options.jobs` commands at once. The arguments must live as long as the loop.
    Runner(const Options& options, const Work& work, Ledger& ledger, Result& result);

    /// Runs every command that comes, and fills in the ledger and the result.
    /// A signal that asks for the end (`signals.h`) ends the running commands; so does a
    /// cancellation, which leaves as CancelledError when that is done.
    asyncio::Coro<> run();

private:
    // The groups are the sections of runner.cpp.
    asyncio::Coro<> read_and_work();
    asyncio::Coro<> read_input();
    asyncio::Coro<> work(Workplace& place);
    void failed() noexcept;
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
    asyncio::Coro<> end_all();
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

    /// The task that runs the batch. `obey` cancels it.
    asyncio::TaskRef main_;
    asyncio::TimePoint start_;
    /// A deque, because it only grows at its end and never moves an element: tasks hold references
    /// to their workplaces.
    std::deque<Workplace> workplaces_;
    /// How many workplaces have a command.
    std::size_t busy_ = 0;
    /// The task of `read_and_work`, and its group while the group takes children.
    asyncio::Task<> all_;
    asyncio::TaskGroup* group_ = nullptr;
    asyncio::Task<> listener_;
    asyncio::Task<> reaper_;
    asyncio::Task<> progress_;
    asyncio::Task<> output_watch_;
    Tally tally_;

    /// No more commands are started. Set by `drain`, and never reset.
    bool draining_ = false;
    /// The running commands are being ended.
    bool stopping_ = false;
    /// All commands have ended. From here on a signal that asks for the end has no effect.
    bool is_over_ = false;
    /// The deadline of the last outputs and remarks. It is set only when the batch was stopped;
    /// until then a slow reader delays the batch without a limit.
    std::optional<asyncio::TimePoint> words_end_;
    /// An error of the program itself in the reader or in a workplace, not a failure of a command.
    /// `run` throws it.
    std::exception_ptr failure_;
};

}  // namespace tool::batch
