#pragma once
// `--results DIR`: writes the output of each command to files, while the command runs.
//
//   DIR/SEQ/stdout    DIR/SEQ/stderr    DIR/SEQ/command
//
// The folders are named by the numbers of the commands. Values would be no good names: they may
// hold any byte, and names of files may not. A new try overwrites the files of the last one. A
// write is a plain system call, because the kernel takes the bytes of a file into its cache.

#include <asyncio.h>

#include "batch/job/job.h"
#include "terminal/terminal.h"

#include <string>
#include <string_view>

namespace tool::batch {

/// The files of one command.
class ResultFiles {
public:
    ResultFiles() = default;
    /// Makes the folder and the files of `job`, and truncates existing files.
    ResultFiles(const std::string& folder, const Job& job) noexcept;

    /// Appends to the file of `stream`. False if this write or an earlier one has failed.
    bool write(Stream stream, std::string_view text) noexcept;

private:
    asyncio::lowlevel::Fd output_;
    asyncio::lowlevel::Fd errors_;
    bool is_complete_ = false;
};

/// Makes the folder and its parent folders. The caller calls it before any command runs, so that an
/// error costs no work.
/// Throws: `asyncio::OsError`.
void make_results_folder(const std::string& folder);

}  // namespace tool::batch
