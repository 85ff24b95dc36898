#pragma once
// One command of the batch: what it is, how it stands, and what it has said.
//
// A job is plain data. `attempt.h` runs it, everything else only looks at it.

#include <asyncio.h>

#include "batch/blocks.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace batch {

enum class Status : std::uint8_t {
    not_started,
    running,
    exited,       ///< With `exit_code`.
    signalled,    ///< A signal that was not ours ended it: `signal`.
    timed_out,    ///< We ended it at its limit.
    interrupted,  ///< We ended it because the batch was stopped.
    skipped,      ///< The job log says that it has run before (`--resume`).
};

struct Job {
    /// Position in the input, from 1: GNU parallel's `Seq`.
    std::size_t number = 0;
    std::string command;
    /// The number of the place where it runs, from 1.
    std::size_t slot = 0;

    Status status = Status::not_started;
    int exit_code = 0;
    int signal = 0;

    /// How often it was started.
    std::size_t tries = 0;
    /// The start of the last try, by the calendar and by the loop's clock.
    std::chrono::system_clock::time_point started{};
    asyncio::TimePoint started_at{};
    /// How long the last try took, and all tries together.
    asyncio::Duration seconds{};
    asyncio::Duration all_seconds{};
    /// The start of the first try and the end of the last, measured from the start of the batch.
    asyncio::Duration begin{};
    asyncio::Duration end{};

    /// What the last try has written, until it has been printed. (Of tries that are repeated,
    /// nothing is shown, as in GNU parallel.)
    Blocks output;
    Blocks errors;
    /// How much the last try has written, with what has been shown already.
    std::size_t output_bytes = 0;
    std::size_t error_bytes = 0;

    bool has_run() const noexcept;
    bool succeeded() const noexcept { return status == Status::exited && exit_code == 0; }
    /// It ran to some end of its own or to its limit, and that was not success.
    bool failed() const noexcept;
};

/// `complete`, `exit 3`, `signal SEGV`, `timeout`, `interrupted`, `not started`, …
std::string describe(const Job& job);

/// What a shell would say of a job that has ended: its exit code, or 128 and the signal. A timeout
/// is −1 in the job log and so 255 here, as in GNU parallel.
int shell_status(const Job& job) noexcept;

}  // namespace batch
