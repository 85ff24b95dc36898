#pragma once
// What the commands have written, shown: whole, one command after another, as they end or in the
// order of the input.

#include <asyncio.h>

#include "batch/console.h"
#include "batch/job.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace batch {

/// Puts `prefix` before every line of `blocks`.
Blocks tagged(Blocks blocks, const std::string& prefix);

struct PrintOptions {
    bool keep_order = false;
    bool tag = false;
};

class Printer {
public:
    Printer(Console& console, PrintOptions options) noexcept
        : console_(console), options_(options) {}

    /// `job` has ended. Takes what it wrote, and returns when that is out; with `keep_order`, at
    /// once if a job before it has not ended. Whoever ends that one prints both.
    /// Throws: as `Console::write`.
    asyncio::Coro<> print(Job& job);

    /// With `keep_order`: nothing will come of the job of that number. To be called before a later
    /// job ends.
    void pass_over(std::size_t number);

    /// Whether nothing has to be printed before what this job writes.
    bool is_next(const Job& job);

    /// Lines of the job, as they are shown.
    Blocks tagged_for(const Job& job, Blocks lines) const;

    /// With `keep_order`: nobody else will end, so print what has waited for a job that did not.
    asyncio::Coro<> print_rest();

private:
    /// What a job has written, with its tags.
    struct Written {
        Blocks output;
        Blocks errors;
    };

    Written take(Job& job) const;
    /// With `keep_order`: goes past what was passed over.
    void skip_passed_over();
    Written take_first();
    asyncio::Coro<> write(Written written);
    asyncio::Coro<> write_next_in_order();

    Console& console_;
    PrintOptions options_;
    /// `keep_order`: the number of the first job that has not been printed, and what waits behind
    /// it; nothing, where a job was
    /// passed over.
    std::size_t next_ = 1;
    std::map<std::size_t, std::optional<Written>> waiting_;
};

}  // namespace batch
