#pragma once
// From a command that waits to one that can be started: the text for the shell, the environment,
// the descriptors.
//
// Every command has these variables in its environment, beside all of ours:
//
//   ASYNCIO_BATCH_SEQ     its number in the input, from 1
//   ASYNCIO_BATCH_SLOT    the number of its place, from 1 to --jobs; no other command has it while
//                         this one runs
//   ASYNCIO_BATCH_ARG_1   with a template: the value of the first list; _2, … of the others

#include "batch/feed.h"
#include "batch/job.h"
#include "batch/template.h"
#include "batch/terminal.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace batch {

/// What is started.
struct Launch {
    /// What the shell runs.
    std::string_view script;
    /// "NAME=value": all of the environment.
    std::vector<std::string> environment;
    /// Descriptors that the command inherits, beside the standard ones.
    std::span<const int> descriptors;
    /// Called with each piece that the command writes to standard output or standard error.
    std::function<void(Stream stream, std::string_view piece)> has_written;
};

class Launcher {
public:
    /// `filled` is the template of the commands; null where they are complete as they come. All of
    /// it must outlive the launcher.
    Launcher(const Template* filled, std::span<const int> descriptors);

    /// The job of a command; `slot` 0 is none yet.
    Job job_of(const Command& command, std::size_t slot) const;

    /// Makes `launch`, which may have been that of another job before, the one of `job`.
    void prepare(Launch& launch, const Job& job, const Command& command) const;

    /// Whether the text of a job is the same in every run.
    bool text_is_fixed() const noexcept { return filled_ == nullptr || !filled_->names_slot(); }

private:
    const Template* filled_;
    std::span<const int> descriptors_;
    /// Ours, without what an outer batch has added for its command.
    std::vector<std::string> environment_;
};

}  // namespace batch
