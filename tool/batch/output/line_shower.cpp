// How complete lines are cut from the blocks of a running command.
//
// `show` is a task of its own beside the attempt. So a slow reader of the output delays the shower
// and not the attempt: the limit of the command holds, and its pipes are read on.

#include "batch/output/line_shower.h"

#include <utility>

namespace tool::batch {
namespace {

/// A longer line is shown in pieces: a command that never ends its line must not fill the memory.
constexpr std::size_t longest_line_bytes = 1024 * 1024;

}  // namespace

asyncio::Coro<> LineShower::show() {
    try {
        for (;;) {
            // The flag is read before the output is taken: bytes that arrive during the write below
            // get a last round.
            const bool is_last = has_ended_;
            if (printer_.is_next(job_)) {
                Blocks output = take_lines(job_.output, output_rest_);
                Blocks errors = take_lines(job_.errors, errors_rest_);
                co_await console_.write(printer_.tagged_for(job_, std::move(output)),
                                        printer_.tagged_for(job_, std::move(errors)));
            }
            if (is_last) co_return;
            co_await news_.wait();
            news_.clear();
        }
    } catch (const asyncio::OsError& refusal) {
        refused_(refusal.error());
    }
}

Blocks LineShower::take_lines(Blocks& written, std::string& rest) const {
    Blocks lines;
    while (!written.empty()) {
        std::string piece = written.take_front();
        const std::size_t end = piece.rfind('\n');
        rest += piece.substr(0, end == std::string::npos ? end : end + 1);
        const bool is_too_long = rest.size() > longest_line_bytes;
        if (end == std::string::npos && !is_too_long) continue;
        lines.append(std::exchange(rest, {}));
        if (end != std::string::npos) rest = piece.substr(end + 1);
    }
    if (has_ended_) lines.append(std::exchange(rest, {}));
    return lines;
}

}  // namespace tool::batch
