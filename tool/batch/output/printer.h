#pragma once
// Shows the outputs of the commands: each output in one piece, either in the order in which the
// commands end or in the order of the input (`--keep-order`).
//
// No task of its own prints. A workplace prints the output of its command before it takes the next
// one. So a slow reader slows down the batch, and unprinted outputs do not fill the memory. With
// `--keep-order` a workplace may have to leave its output for another workplace, which then prints
// both; that workplace has the command that comes before.

#include <asyncio.h>

#include "batch/job/job.h"
#include "terminal/console.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace tool::batch {

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

    /// Takes the output of a job that has ended, and returns when it was written. With `keep_order`
    /// it returns at once if an earlier job has not ended; the workplace of that job then prints
    /// both outputs.
    /// Throws: as `Console::write`.
    asyncio::Coro<> print(Job& job);

    /// With `keep_order`: the job of this number will have no output. The caller must call it
    /// before a later job ends.
    void pass_over(std::size_t number);

    /// Whether the output of this job is the next one to print.
    bool is_next(const Job& job);

    /// Lines of the job in the form in which they are shown.
    Blocks tagged_for(const Job& job, Blocks lines) const;

    /// With `keep_order`: no other job will end, so this prints the outputs that wait for a job
    /// that was not run.
    asyncio::Coro<> print_rest();

private:
    /// The output of a job, with its tags.
    struct Written {
        Blocks output;
        Blocks errors;
    };

    Written take(Job& job) const;
    /// With `keep_order`: moves `next_` past the numbers that were passed over.
    void skip_passed_over();
    Written take_first();
    asyncio::Coro<> write(Written written);
    asyncio::Coro<> write_next_in_order();

    Console& console_;
    PrintOptions options_;
    /// `keep_order`: the number of the first job that was not printed.
    std::size_t next_ = 1;
    /// `keep_order`: the outputs that wait for an earlier job. An empty optional stands for a job
    /// that was passed over.
    std::map<std::size_t, std::optional<Written>> waiting_;
};

}  // namespace tool::batch
