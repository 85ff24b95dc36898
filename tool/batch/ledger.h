#pragma once
// What is known of a batch when it is over: its numbers, and the commands that a report lists.
//
// A batch may have millions of commands, and the table shows a hundred at most and what went
// wrong. So a command that has ended is kept only if a report wants it; the numbers count all.

#include "batch/job.h"
#include "batch/tally.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace batch {

/// Beyond so many commands the table lists those that are notable, and counts the others: a table
/// of thousands of lines hides the three that matter.
inline constexpr std::size_t most_rows = 100;

/// Whether a long table lists the job. That a command is complete goes without saying, and where a
/// batch was stopped, that others were not started.
bool is_notable(const Job& job) noexcept;

/// The numbers of a batch.
struct Totals {
    Tally tally;
    /// How many commands are known.
    std::size_t commands = 0;
    /// The batch was stopped before its input had ended, so there may be more.
    bool has_more = false;
    asyncio::Duration elapsed{};
    /// The times of all commands, all tries together.
    asyncio::Duration one_by_one{};
};

class Ledger {
public:
    enum class Keep : std::uint8_t { nothing, table, all };

    explicit Ledger(Keep keep) noexcept : keep_(keep) {}

    /// A command that has come to an end, was left out, or was not started.
    void add(Job job);

    /// The jobs that were kept, in the order of the input.
    std::span<const Job> jobs();
    const Totals& totals() const noexcept { return totals_; }
    void has_more() noexcept { totals_.has_more = true; }
    void set_elapsed(asyncio::Duration elapsed) noexcept { totals_.elapsed = elapsed; }

private:
    Keep keep_;
    std::vector<Job> jobs_;
    bool is_sorted_ = true;
    Totals totals_;
};

}  // namespace batch
