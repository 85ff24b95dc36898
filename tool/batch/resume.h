#pragma once
// The commands that the job log lists as done. `--resume` skips them.
//
// A command is recognised by its number alone, as in GNU parallel. Its text may contain the number
// of a workplace, which differs from run to run, so a comparison of texts would run such commands
// again.

#include "batch/options.h"

#include <cstddef>
#include <string>
#include <unordered_map>

namespace batch {

class Resume {
public:
    /// Reads the log if the options ask for it.
    /// Throws: `asyncio::OsError` if the file exists and cannot be read.
    explicit Resume(const Options& options);

    /// The text of the command that was done under this number; null if the command must run.
    const std::string* done(std::size_t number) const;

private:
    /// By number. The text is kept for the remark about a changed input (`Runner::was_done`).
    std::unordered_map<std::size_t, std::string> done_;
};

}  // namespace batch
