#pragma once
// What the commands have written, shown: whole, one command after another, as they end or in the
// order of the input.

#include <asyncio.h>

#include "batch/console.h"
#include "batch/job.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace batch {

/// Puts `prefix` before every line of `blocks`.
Blocks tagged(Blocks blocks, const std::string& prefix);

struct PrintOptions {
    bool keep_order = false;
    bool tag = false;
};

class Printer {
public:
    /// `jobs` are those that the printer will be given, in the order of the input.
    Printer(Console& console, std::span<Job> jobs, PrintOptions options);

    /// `job` has ended. Returns when what it wrote is out, and its memory free; with `keep_order`,
    /// at once if a job before it has not ended. Whoever ends that one prints both.
    /// Throws: as `Console::write`.
    asyncio::Coro<> print(Job& job);

    /// With `keep_order`: nobody else will end, so print what has waited for a job that did not.
    asyncio::Coro<> print_rest();

private:
    asyncio::Coro<> write(Job& job);
    asyncio::Coro<> write_next_in_order();

    Console& console_;
    std::span<Job> jobs_;
    PrintOptions options_;
    /// `keep_order`: index of the first job that has not been printed, and who waits behind it.
    std::size_t next_ = 0;
    std::vector<bool> ended_;
};

}  // namespace batch
