// How the ledger decides which jobs it keeps, and in which order it gives them.
//
// Jobs arrive in the order of their ends. They are sorted only when a report asks, and only if they
// are not in order: most batches with one workplace never need it.

#include "batch/job/ledger.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace tool::batch {

bool is_notable(const Job& job) noexcept {
    return !job.succeeded() && job.status != Status::skipped && job.status != Status::not_started;
}

void Ledger::add(Job job) {
    totals_.tally.add(job);
    totals_.one_by_one += job.all_seconds;
    ++totals_.commands;
    if (keep_ == Keep::nothing) return;
    // When the table becomes a long one, the jobs that a long table does not list are dropped.
    const bool is_table = keep_ == Keep::table;
    if (is_table && totals_.commands == most_rows + 1)
        std::erase_if(jobs_, std::not_fn(is_notable));
    if (is_table && totals_.commands > most_rows && !is_notable(job)) return;
    is_sorted_ &= jobs_.empty() || jobs_.back().number < job.number;
    jobs_.push_back(std::move(job));
}

std::span<const Job> Ledger::jobs() {
    if (!std::exchange(is_sorted_, true)) std::ranges::sort(jobs_, {}, &Job::number);
    return jobs_;
}

}  // namespace tool::batch
