// The only place that decides how a state counts. `running` counts as not started: only an error of
// the program itself can leave a job in this state.

#include "batch/job/tally.h"

namespace tool::batch {

void Tally::add(const Job& job) noexcept {
    switch (job.status) {
        case Status::exited: ++(job.exit_code == 0 ? complete : failed); break;
        case Status::signalled: ++failed; break;
        case Status::timed_out: ++timed_out; break;
        case Status::interrupted: ++interrupted; break;
        case Status::skipped: ++skipped; break;
        case Status::running:
        case Status::not_started: ++not_started; break;
    }
}

}  // namespace tool::batch
