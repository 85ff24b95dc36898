// How arguments and lines become numbered commands.
//
// A number is given only to a text that runs. So adding a comment to a file of commands does not
// change the numbers, by which `--resume` knows the commands.

#include "batch/input/command_feed.h"

#include "batch/shell/open_quotation.h"

#include <algorithm>
#include <utility>

namespace tool::batch {
namespace {

using asyncio::Coro;

constexpr const char* no_commands =
    "no commands: give them as arguments, in a file (-f FILE) or on standard input";

/// Whether a line is empty or a comment.
bool is_void(std::string_view line) {
    const std::size_t first = line.find_first_not_of(" \t\r\v\f");
    return first == std::string_view::npos || line[first] == '#';
}

}  // namespace

bool is_command(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (!is_void(text.substr(0, end))) return true;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

CommandFeed::CommandFeed(std::vector<std::string> arguments, std::vector<Input> inputs, ItemEnd end)
    : arguments_(std::move(arguments)) {
    for (Input& input : inputs) {
        readers_.emplace_back(std::move(input), end, "command", find_open_quotation);
    }
}

Coro<std::optional<Command>> CommandFeed::next() {
    for (;;) {
        std::optional<std::string> text = co_await next_text();
        if (!text && count_ == 0) throw InputError(no_commands);
        if (!text) co_return std::nullopt;
        if (is_command(*text)) co_return Command{.number = ++count_, .text = std::move(*text)};
    }
}

Coro<std::optional<std::string>> CommandFeed::next_text() {
    if (next_argument_ < arguments_.size()) co_return std::move(arguments_[next_argument_++]);
    while (!readers_.empty()) {
        std::optional<std::string> text = co_await readers_.front().next();
        if (text) co_return text;
        readers_.pop_front();
    }
    co_return std::nullopt;
}

bool CommandFeed::is_finite() const noexcept {
    return std::ranges::all_of(readers_, &ItemReader::is_finite);
}

}  // namespace tool::batch
