#pragma once
// The results of a batch: its numbers, and the commands that a report lists.
//
// A batch may have millions of commands, but a table lists all of them only up to a hundred; a
// longer table lists only those that went wrong. So the ledger keeps an ended command only if a
// report needs it. The numbers count every command.

#include "batch/job/job.h"
#include "batch/job/tally.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tool::batch {

/// With more commands than this, the table lists only the notable ones: in a table of thousands of
/// lines a user does not find the three that failed.
inline constexpr std::size_t most_rows = 100;

/// Whether a long table lists the job. It does not list commands that succeeded or that the job log
/// has, and not those that a stopped batch did not start: these are the expected cases.
bool is_notable(const Job& job) noexcept;

/// The numbers of a batch.
struct Totals {
    Tally tally;
    /// How many commands are known.
    std::size_t commands = 0;
    /// The batch was stopped before its input had ended, so more commands may exist.
    bool has_more = false;
    asyncio::Duration elapsed{};
    /// The sum of the times of all commands, with all of their tries.
    asyncio::Duration one_by_one{};
};

class Ledger {
public:
    enum class Keep : std::uint8_t { nothing, table, all };

    explicit Ledger(Keep keep) noexcept : keep_(keep) {}

    /// Counts a command that has ended, was skipped, or was not started.
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

}  // namespace tool::batch
