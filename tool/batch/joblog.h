#pragma once
// The job log: a line per command that has ended, in GNU parallel's columns, TAB separated:
//
//   Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command
//
// Host is always ":" (this machine); Send is 0; Receive counts the bytes of standard output; a
// timeout is Exitval -1. A newline inside a command is written as a NUL byte. All of that is what
// GNU parallel writes, so what reads its logs reads these, and the other way round.
//
// A line is on its way to the disk as soon as the command has ended; a batch that is killed has
// logged everything that was done. Commands that the batch itself interrupted are not logged:
// `--resume` runs them again.

#include "batch/job.h"
#include "batch/output_file.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace batch {

/// One line of a log.
struct LogEntry {
    std::size_t number = 0;
    int exit_value = 0;
    int signal = 0;
    std::string command;

    bool failed() const noexcept { return exit_value != 0 || signal != 0; }
};

/// The line of a job that has ended, without the newline.
std::string log_line(const Job& job);

/// The entries of a log, in the order of the file. What is no entry - the header, a line that was
/// cut off when a disk was full - is left out.
std::vector<LogEntry> parse_job_log(std::string_view text);

/// Reads a log; there is nothing in one that does not exist yet.
/// Throws: `asyncio::OsError` if the file is there and cannot be read.
std::vector<LogEntry> read_job_log(const std::string& path);

/// A log that is being written.
class JobLog {
public:
    /// `keep` appends to what is there, as `--resume` wants it; else the log begins anew.
    /// Throws: `asyncio::OsError` if the file cannot be written.
    JobLog(const std::string& path, bool keep);

    /// False if it could not be written: the disk is full, or the log is a pipe that nobody reads.
    bool add(const Job& job);

private:
    JobLog(const std::string& path, bool keep, const std::string& before);

    OutputFile file_;
    /// The last line was taken at all.
    bool is_taken_ = true;
};

}  // namespace batch
