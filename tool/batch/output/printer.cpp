// How outputs are put into order and tagged.
//
// Several workplaces may be in `write_next_in_order` at the same time, because each write waits for
// the console. They take outputs from the map one after another, without a wait between the choice
// and the call of `Console::write`. The console serves its callers in the order of arrival, so the
// outputs keep their order.

#include "batch/output/printer.h"

#include <string_view>
#include <utility>

namespace tool::batch {
namespace {

using asyncio::Coro;

/// Tags the lines of one block. `at_line_start` is carried from block to block, because a line may
/// continue in the next block.
std::string tag_lines(std::string_view text, std::string_view prefix, bool& at_line_start) {
    std::string tagged;
    while (!text.empty()) {
        if (at_line_start) tagged += prefix;
        const std::size_t newline = text.find('\n');
        at_line_start = newline != std::string_view::npos;
        const std::string_view line = text.substr(0, at_line_start ? newline + 1 : text.size());
        tagged += line;
        text.remove_prefix(line.size());
    }
    return tagged;
}

}  // namespace

Blocks tagged(Blocks blocks, const std::string& prefix) {
    Blocks result;
    bool at_line_start = true;
    while (!blocks.empty()) result.append(tag_lines(blocks.take_front(), prefix, at_line_start));
    return result;
}

Coro<> Printer::print(Job& job) {
    Written written = take(job);
    if (!options_.keep_order) {
        co_await write(std::move(written));
        co_return;
    }
    waiting_.emplace(job.number, std::move(written));
    co_await write_next_in_order();
}

void Printer::pass_over(std::size_t number) {
    if (options_.keep_order) waiting_.emplace(number, std::nullopt);
}

void Printer::skip_passed_over() {
    while (!waiting_.empty() && waiting_.begin()->first == next_ && !waiting_.begin()->second) {
        waiting_.erase(waiting_.begin());
        ++next_;
    }
}

bool Printer::is_next(const Job& job) {
    if (options_.keep_order) skip_passed_over();
    return !options_.keep_order || job.number == next_;
}

Coro<> Printer::write_next_in_order() {
    // The call of `write` takes a place in the console's line, and the console keeps this order.
    for (skip_passed_over(); !waiting_.empty() && waiting_.begin()->first == next_;
         skip_passed_over()) {
        ++next_;
        Written written = take_first();
        co_await write(std::move(written));
    }
}

Coro<> Printer::print_rest() {
    while (!waiting_.empty()) {
        Written written = take_first();
        co_await write(std::move(written));
    }
}

Printer::Written Printer::take_first() {
    std::optional<Written> first = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    return first ? std::move(*first) : Written();
}

Printer::Written Printer::take(Job& job) const {
    return {tagged_for(job, std::exchange(job.output, {})),
            tagged_for(job, std::exchange(job.errors, {}))};
}

Blocks Printer::tagged_for(const Job& job, Blocks lines) const {
    if (!options_.tag || lines.empty()) return lines;
    return tagged(std::move(lines), job.command + "\t");
}

Coro<> Printer::write(Written written) {
    co_await console_.write(std::move(written.output), std::move(written.errors));
}

}  // namespace tool::batch
