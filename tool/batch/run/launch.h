#pragma once
// Makes everything that the start of a command needs: the text for the shell, the environment, the
// descriptors.
//
// Every command has these variables in its environment, in addition to those of the batch:
//
//   ASYNCIO_BATCH_SEQ     its number in the input, from 1
//   ASYNCIO_BATCH_SLOT    the number of its workplace, from 1 to --jobs; no other running command
//                         has the same number
//   ASYNCIO_BATCH_ARG_1   with a template: the value of the first list; _2, … of the others

#include "batch/input/feed.h"
#include "batch/job/job.h"
#include "batch/shell/template.h"
#include "terminal/terminal.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tool::batch {

/// The data for one start. A workplace reuses it for its next command, so that the environment is
/// not copied for every command.
struct Launch {
    /// The text for the shell. A view of the template's script or of the job's text.
    std::string_view script;
    /// The complete environment, as "NAME=value".
    std::vector<std::string> environment;
    /// Descriptors that the command inherits, in addition to the standard ones.
    std::span<const int> descriptors;
    /// Called with each piece that the command writes to standard output or standard error.
    std::function<void(Stream stream, std::string_view piece)> has_written;
};

class Launcher {
public:
    /// `filled` is the template of the commands; null if the commands need none. Both arguments
    /// must outlive the launcher.
    Launcher(const Template* filled, std::span<const int> descriptors);

    /// The job of a command. `slot` is the number of its workplace, 0 if it has none yet.
    Job job_of(const Command& command, std::size_t slot) const;

    /// Prepares `launch` for `job`. `launch` may have served another job before.
    void prepare(Launch& launch, const Job& job, const Command& command) const;

    /// Whether the text of a job is the same in every run. With `{%}` it is not, and then a
    /// comparison with the job log would report a difference where there is none.
    bool text_is_fixed() const noexcept { return filled_ == nullptr || !filled_->names_slot(); }

private:
    const Template* filled_;
    std::span<const int> descriptors_;
    /// The environment of the batch, without the variables of an outer batch: a value of the outer
    /// batch must not appear in a command of this one.
    std::vector<std::string> environment_;
};

}  // namespace tool::batch
