#pragma once
// `--results DIR`: what each command writes, in files of its own, while it runs.
//
//   DIR/SEQ/stdout    DIR/SEQ/stderr    DIR/SEQ/command
//
// The folders have the numbers of the commands, because values may be anything, and names of files
// may not. Of several tries the last one stays. Writing is a plain system call: the kernel keeps
// what goes to a file in its cache.

#include <asyncio.h>

#include "batch/job.h"
#include "batch/terminal.h"

#include <string>
#include <string_view>

namespace batch {

/// The files of one command.
class ResultFiles {
public:
    ResultFiles() = default;
    /// Makes the folder and the files of `job` anew.
    ResultFiles(const std::string& folder, const Job& job) noexcept;

    /// False if it could not be written, now or before.
    bool write(Stream stream, std::string_view text) noexcept;

private:
    asyncio::lowlevel::Fd output_;
    asyncio::lowlevel::Fd errors_;
    bool is_complete_ = false;
};

/// Makes the folder, and those above it, so that nothing has run for nothing.
/// Throws: `asyncio::OsError`.
void make_results_folder(const std::string& folder);

}  // namespace batch
