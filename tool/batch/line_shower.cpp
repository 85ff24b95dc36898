#include "batch/line_shower.h"

#include <utility>

namespace batch {
namespace {

/// A line that is longer is shown in pieces.
constexpr std::size_t longest_line_bytes = 1024 * 1024;

}  // namespace

asyncio::Coro<> LineShower::show() {
    try {
        for (;;) {
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

}  // namespace batch
