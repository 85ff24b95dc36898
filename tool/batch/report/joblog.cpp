// The format of the job log, its reader and its writer.
//
// The log is written with plain system calls, and not by the loop. A line is short, a file takes it
// at once, and it must be written before the workplace takes its next command: otherwise
// `--resume` after a kill would run a finished command again.

#include "batch/report/joblog.h"

#include "parse.h"
#include "terminal/duration.h"
#include "terminal/say.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <optional>

#include <fmt/format.h>

namespace tool::batch {
namespace {

constexpr std::string_view header =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand";
constexpr int ended_by_us = -1;

std::string with_replaced(std::string_view text, char from, char to) {
    std::string copy(text);
    std::replace(copy.begin(), copy.end(), from, to);
    return copy;
}

std::optional<LogEntry> parse_line(std::string_view line) {
    const auto number = parse_number<std::size_t>(take_until(line, '\t'));
    // Host, Starttime, JobRuntime, Send and Receive are not needed.
    for (int skipped = 0; skipped < 5; ++skipped) take_until(line, '\t');
    const auto exit_value = parse_number<int>(take_until(line, '\t'));
    const auto signal = parse_number<int>(take_until(line, '\t'));
    if (!number || !exit_value || !signal) return std::nullopt;
    return LogEntry{*number, *exit_value, *signal, with_replaced(line, '\0', '\n')};
}

/// File streams do not report a reason, but the system call below them has left it in errno.
asyncio::OsError failure(std::string_view verb, const std::string& path) {
    return asyncio::OsError(errno != 0 ? errno : EIO, fmt::format("{} the job log {}", verb, path));
}

/// The text of a file; empty if the file does not exist.
std::string contents(const std::string& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open() && errno == ENOENT) return {};
    std::string text;
    std::array<char, 64 * 1024> chunk;
    while (file.read(chunk.data(), chunk.size()) || file.gcount() > 0) {
        text.append(chunk.data(), static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad() || !file.is_open()) throw failure("read", path);
    return text;
}

}  // namespace

std::string log_line(const Job& job) {
    const bool timed_out = job.status == Status::timed_out;
    return fmt::format("{}\t:\t{:.3f}\t{:10.3f}\t0\t{}\t{}\t{}\t{}", job.number,
                       in_seconds(job.started.time_since_epoch()), in_seconds(job.seconds),
                       job.output_bytes, timed_out ? ended_by_us : job.exit_code, job.signal,
                       with_replaced(job.command, '\n', '\0'));
}

std::vector<LogEntry> parse_job_log(std::string_view text) {
    std::vector<LogEntry> entries;
    while (!text.empty()) {
        if (auto entry = parse_line(take_until(text, '\n'))) entries.push_back(std::move(*entry));
    }
    return entries;
}

std::vector<LogEntry> read_job_log(const std::string& path) {
    return parse_job_log(contents(path));
}

JobLog::JobLog(const std::string& path, bool keep)
    : JobLog(path, keep, keep ? contents(path) : std::string()) {}

JobLog::JobLog(const std::string& path, bool keep, const std::string& before)
    : file_(path, keep ? OutputFile::Begin::behind_what_is_there : OutputFile::Begin::anew,
            "write the job log " + path) {
    int error = 0;
    if (before.empty()) {
        error = file_.write(fmt::format("{}\n", header));
    } else if (before.back() != '\n') {
        // The last line was cut off. The next line must not become a part of it.
        error = file_.write("\n");
    }
    if (error != 0) throw asyncio::OsError(error, "write the job log " + path);
}

bool JobLog::add(const Job& job) {
    const asyncio::Duration patience = is_taken_ ? patience_for_remarks : asyncio::Duration::zero();
    const int error = file_.write(log_line(job) + "\n", patience);
    is_taken_ = error != ETIMEDOUT;
    return error == 0;
}

}  // namespace tool::batch
