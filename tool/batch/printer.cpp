#include "batch/printer.h"

#include <string_view>
#include <utility>

namespace batch {
namespace {

using asyncio::Coro;

/// The lines of one block. `at_line_start` goes from block to block.
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

Printer::Printer(Console& console, std::span<Job> jobs, PrintOptions options)
    : console_(console),
      jobs_(jobs),
      options_(options),
      ended_(options.keep_order ? jobs.size() : 0) {}

Coro<> Printer::print(Job& job) {
    if (!options_.keep_order) {
        co_await write(job);
        co_return;
    }
    ended_[static_cast<std::size_t>(&job - jobs_.data())] = true;
    co_await write_next_in_order();
}

Coro<> Printer::write_next_in_order() {
    // The place in the line is taken here, one after another; the console keeps that order.
    while (next_ < jobs_.size() && (ended_[next_] || jobs_[next_].status == Status::skipped)) {
        co_await write(jobs_[next_++]);
    }
}

Coro<> Printer::print_rest() {
    if (!options_.keep_order) co_return;
    while (next_ < jobs_.size()) co_await write(jobs_[next_++]);
}

Coro<> Printer::write(Job& job) {
    Blocks output = std::exchange(job.output, {});
    Blocks errors = std::exchange(job.errors, {});
    if (options_.tag) {
        output = tagged(std::move(output), job.command + "\t");
        errors = tagged(std::move(errors), job.command + "\t");
    }
    co_await console_.write(std::move(output), std::move(errors));
}

}  // namespace batch
