#pragma once
// A command of the batch: its text, its state, and its output.
//
// A job is plain data. `attempt.h` runs it, the workplace and the runner fill in its numbers, and
// every other part only reads it. So reports need not know how commands run.

#include <asyncio.h>

#include "terminal/blocks.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace tool::batch {

enum class Status : std::uint8_t {
    not_started,
    running,
    exited,       ///< With `exit_code`.
    signalled,    ///< A signal that the batch did not send ended it: `signal`.
    timed_out,    ///< The batch ended it at its limit.
    interrupted,  ///< The batch ended it because the batch itself was stopped.
    skipped,      ///< The job log says that it has run before (`--resume`).
};

struct Job {
    /// Position in the input, from 1: GNU parallel's `Seq`.
    std::size_t number = 0;
    std::string command;
    /// The number of the workplace where it runs, from 1.
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

    /// The output of the last try, until it has been printed. The output of a try that is repeated
    /// is not shown, as in GNU parallel.
    Blocks output;
    Blocks errors;
    /// How many bytes the last try has written, including the bytes that were shown already.
    std::size_t output_bytes = 0;
    std::size_t error_bytes = 0;

    bool has_run() const noexcept;
    bool succeeded() const noexcept { return status == Status::exited && exit_code == 0; }
    /// The job ended without success, by itself or at its limit. An interrupted job has not failed.
    bool failed() const noexcept;
};

/// `complete`, `exit 3`, `signal SEGV`, `timeout`, `interrupted`, `not started`, …
std::string describe(const Job& job);

/// The status that a shell would report for a job that has ended: its exit code, or 128 plus the
/// signal. A timeout is −1 in the job log and therefore 255 here, as in GNU parallel.
int shell_status(const Job& job) noexcept;

}  // namespace tool::batch
