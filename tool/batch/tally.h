#pragma once
// The numbers of a batch: how many commands ended how.

#include "batch/job.h"

#include <cstddef>

namespace batch {

struct Tally {
    std::size_t complete = 0;
    std::size_t failed = 0;  ///< By an exit code or a signal.
    std::size_t timed_out = 0;
    std::size_t interrupted = 0;
    std::size_t skipped = 0;
    std::size_t not_started = 0;

    /// Everything that counts as a failure.
    std::size_t failures() const noexcept { return failed + timed_out; }
    /// Everything that has come to its end.
    std::size_t done() const noexcept { return complete + failures(); }

    void add(const Job& job) noexcept;
};

}  // namespace batch
