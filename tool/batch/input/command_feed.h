#pragma once
// Commands that stand in the arguments and in files, one per line.
//
// The feed skips empty lines and lines that hold only a comment of the shell (`# …`): there is
// nothing to run and nothing to show in a table. An argument or an item of `-0` may have several
// lines; it is skipped if all of its lines are empty or comments.
//
// In a file or a pipe, a quotation without its end is an error, as it is for xargs. Most such lines
// come from a program that makes commands from file names and does not quote them. Then the next
// line may run a part of a name as a command. An argument was typed by a user, so it runs, and the
// shell reports what is wrong with it.

#include "batch/input/feed.h"
#include "batch/input/input.h"

#include <deque>

namespace tool::batch {

/// Whether `text` has a line that is neither empty nor a comment.
bool is_command(std::string_view text);

class CommandFeed final : public Feed {
public:
    /// Gives the arguments first, then the contents of the files.
    CommandFeed(std::vector<std::string> arguments, std::vector<Input> inputs, ItemEnd end);

    /// Throws, in addition: InputError at the end if there was no command. An empty input is more
    /// often a mistake than a wish.
    asyncio::Coro<std::optional<Command>> next() override;
    bool is_finite() const noexcept override;

private:
    asyncio::Coro<std::optional<std::string>> next_text();

    std::vector<std::string> arguments_;
    std::size_t next_argument_ = 0;
    std::deque<ItemReader> readers_;
    std::size_t count_ = 0;
};

}  // namespace tool::batch
