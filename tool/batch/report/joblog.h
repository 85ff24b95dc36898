#pragma once
// The job log: a line per command that has ended, in GNU parallel's columns, separated by TABs:
//
//   Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command
//
// Host is always ":" (this machine). Send is 0. Receive counts the bytes of standard output. A
// timeout has the Exitval -1. A newline inside a command is written as a NUL byte. GNU parallel
// writes all of this in the same way. So programs that read its logs can read these logs, and the
// batch can resume from a log of GNU parallel.
//
// A line is given to the kernel as soon as the command has ended. So a batch that is killed has
// logged every command that was done. Commands that the batch itself interrupted are not logged, so
// `--resume` runs them again.

#include "batch/job/job.h"
#include "batch/report/output_file.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tool::batch {

/// A line of a log.
struct LogEntry {
    std::size_t number = 0;
    int exit_value = 0;
    int signal = 0;
    std::string command;

    bool failed() const noexcept { return exit_value != 0 || signal != 0; }
};

/// The line of a job that has ended, without the newline.
std::string log_line(const Job& job);

/// The entries of a log, in the order of the file. Lines that are no entries are skipped: the
/// header, and a line that was cut off when the disk was full.
std::vector<LogEntry> parse_job_log(std::string_view text);

/// Reads a log. A file that does not exist yet has no entries.
/// Throws: `asyncio::OsError` if the file is there and cannot be read.
std::vector<LogEntry> read_job_log(const std::string& path);

/// A log that is being written.
class JobLog {
public:
    /// With `keep`, new lines are appended to the existing ones, as `--resume` needs it. Without
    /// it, the log begins anew.
    /// Throws: `asyncio::OsError` if the file cannot be written.
    JobLog(const std::string& path, bool keep);

    /// Writes the line of a job. False if it could not be written: the disk is full, or the log is
    /// a pipe whose reader does not read.
    bool add(const Job& job);

private:
    JobLog(const std::string& path, bool keep, const std::string& before);

    OutputFile file_;
    /// False after a line has timed out. Later lines then do not wait again: a log that is a pipe
    /// without a reader would otherwise delay the batch once per command.
    bool is_taken_ = true;
};

}  // namespace tool::batch
