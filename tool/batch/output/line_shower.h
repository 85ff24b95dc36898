#pragma once
// `--line-buffer`: shows the complete lines of a command while it runs.
//
// The lines of several commands are then mixed, but each line is complete. With `--keep-order`,
// only the lines of the first command that has not ended are shown; the output of the others waits.

#include <asyncio.h>

#include "batch/job/job.h"
#include "batch/output/printer.h"
#include "terminal/console.h"

#include <functional>
#include <string>

namespace tool::batch {

/// Shows the lines of one try of a job.
class LineShower {
public:
    /// `refused` is called with the errno of a failed write to standard output.
    LineShower(Job& job, Console& console, Printer& printer, std::function<void(int)> refused)
        : job_(job), console_(console), printer_(printer), refused_(std::move(refused)) {}

    /// The job has written bytes, or it has become the first unprinted job.
    void wake() noexcept { news_.set(); }

    /// Shows lines until `end`, and then the rest of the output. Returns when all of it was
    /// written.
    asyncio::Coro<> show();

    /// The try has ended.
    void end() noexcept {
        has_ended_ = true;
        wake();
    }

private:
    /// Takes the complete lines. `rest` keeps the beginning of a line whose end has not arrived.
    Blocks take_lines(Blocks& written, std::string& rest) const;

    Job& job_;
    Console& console_;
    Printer& printer_;
    std::function<void(int)> refused_;
    asyncio::Event news_;
    std::string output_rest_;
    std::string errors_rest_;
    bool has_ended_ = false;
};

}  // namespace tool::batch
