// How a log with several lines for one command is read: a command that was resumed has a line for
// each run.

#include "batch/report/resume.h"

#include "batch/report/joblog.h"

#include <utility>

namespace tool::batch {

Resume::Resume(const std::string& path, Again again) {
    for (LogEntry& entry : read_job_log(path)) {
        // The last line of a command counts: a command whose last run failed is run again by
        // `--resume-failed`.
        done_.erase(entry.number);
        if (again == Again::failed && entry.failed()) continue;
        done_.emplace(entry.number, std::move(entry.command));
    }
}

const std::string* Resume::done(std::size_t number) const {
    const auto found = done_.find(number);
    return found != done_.end() ? &found->second : nullptr;
}

}  // namespace tool::batch
