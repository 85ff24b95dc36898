// How a log with several lines for one command is read: a command that was resumed has a line for
// each run.

#include "batch/resume.h"

#include "batch/joblog.h"

#include <utility>

namespace batch {

Resume::Resume(const Options& options) {
    if (!options.resume && !options.resume_failed) return;
    for (LogEntry& entry : read_job_log(options.job_log)) {
        // The last line of a command counts: a command whose last run failed is run again by
        // `--resume-failed`.
        done_.erase(entry.number);
        if (options.resume_failed && entry.failed()) continue;
        done_.emplace(entry.number, std::move(entry.command));
    }
}

const std::string* Resume::done(std::size_t number) const {
    const auto found = done_.find(number);
    return found != done_.end() ? &found->second : nullptr;
}

}  // namespace batch
