#pragma once
// Commands as they stand in the arguments and in files, one per line.
//
// Empty lines are left out, and so are those that are nothing but a comment of the shell (`# …`):
// there is nothing to run, and nothing to put in a table. A command of several lines, as an
// argument or an item of `-0` can be, is left out if all of its lines are so.
//
// A quotation without its end is an error in a file or a pipe, as it is for xargs. Most such lines
// are made from names, by a program that does not quote them, and then the next line may run a name
// as a command. An argument was typed by a user: it runs, and the shell says what is wrong with it.

#include "batch/feed.h"
#include "batch/input.h"

#include <deque>

namespace batch {

/// Whether there is something to run.
bool is_command(std::string_view text);

class CommandFeed final : public Feed {
public:
    /// First the arguments, then the files.
    CommandFeed(std::vector<std::string> arguments, std::vector<Input> inputs, ItemEnd end);

    /// Throws, too: InputError at the end if there was no command at all.
    asyncio::Coro<std::optional<Command>> next() override;
    bool is_finite() const noexcept override;

private:
    asyncio::Coro<std::optional<std::string>> next_text();

    std::vector<std::string> arguments_;
    std::size_t next_argument_ = 0;
    std::deque<ItemReader> readers_;
    std::size_t count_ = 0;
};

}  // namespace batch
