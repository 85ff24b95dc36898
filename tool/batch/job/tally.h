#pragma once
// Counts the commands of a batch by the way in which they ended. The exit status, `--halt`, the
// table and the progress line all use this count.

#include "batch/job/job.h"

#include <cstddef>

namespace tool::batch {

struct Tally {
    std::size_t complete = 0;
    std::size_t failed = 0;  ///< Ended by an exit code other than 0, or by a signal.
    std::size_t timed_out = 0;
    std::size_t interrupted = 0;
    std::size_t skipped = 0;
    std::size_t not_started = 0;

    /// The commands that count as failures.
    std::size_t failures() const noexcept { return failed + timed_out; }
    /// The commands that ended by themselves or at their limit.
    std::size_t done() const noexcept { return complete + failures(); }

    void add(const Job& job) noexcept;
};

}  // namespace tool::batch
