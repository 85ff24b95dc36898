// The words and numbers for the state of a job. The table and the JSON report use the
// same words, so a user can search in one for a word of the other.

#include "batch/job/job.h"

#include "exit_codes.h"

#include <cstring>

#include <fmt/format.h>

namespace tool::batch {
namespace {

/// The status that a shell makes of the −1 that stands for a timeout in the job log.
constexpr int timeout_status = 255;

/// The name without "SIG": "SEGV". A number for the real-time signals, which have no names.
std::string signal_name(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name != nullptr ? name : fmt::format("{}", signal);
}

}  // namespace

bool Job::has_run() const noexcept {
    return status == Status::exited || status == Status::signalled || status == Status::timed_out ||
           status == Status::interrupted;
}

bool Job::failed() const noexcept {
    return status == Status::signalled || status == Status::timed_out ||
           (status == Status::exited && exit_code != 0);
}

std::string describe(const Job& job) {
    switch (job.status) {
        case Status::not_started: return "not started";
        case Status::running: return "running";
        case Status::signalled: return "signal " + signal_name(job.signal);
        case Status::timed_out: return "timeout";
        case Status::interrupted: return "interrupted";
        case Status::skipped: return "in the log";
        case Status::exited: break;
    }
    return job.exit_code == 0 ? "complete" : fmt::format("exit {}", job.exit_code);
}

int shell_status(const Job& job) noexcept {
    if (job.status == Status::exited) return job.exit_code;
    if (job.status == Status::signalled) return signal_base + job.signal;
    return timeout_status;
}

}  // namespace tool::batch
