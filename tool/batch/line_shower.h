#pragma once
// `--line-buffer`: the whole lines of a command are shown while it runs.
//
// Lines of several commands are mixed then, but each comes whole. With `--keep-order` only the
// first command that has not ended is shown so; what the others write waits.

#include <asyncio.h>

#include "batch/console.h"
#include "batch/job.h"
#include "batch/printer.h"

#include <functional>
#include <string>

namespace batch {

/// For one try of a job.
class LineShower {
public:
    /// `refused` is told what standard output has refused with.
    LineShower(Job& job, Console& console, Printer& printer, std::function<void(int)> refused)
        : job_(job), console_(console), printer_(printer), refused_(std::move(refused)) {}

    /// The job has written something, or has come to be the first.
    void wake() noexcept { news_.set(); }

    /// Shows lines until `end`, and then what is left. Returns when that is out.
    asyncio::Coro<> show();

    /// The try has ended.
    void end() noexcept {
        has_ended_ = true;
        wake();
    }

private:
    /// `rest` is the beginning of a line whose end has not come.
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

}  // namespace batch
