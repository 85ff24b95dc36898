#pragma once
// The source of the commands of a batch. It is an interface because commands come from two sources:
// from lines and arguments (`command_feed.h`), or from values for a template (`value_feed.h`).

#include <asyncio.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace tool::batch {

/// A command that waits to be started. There may be many of them, so it holds only what differs:
/// the text of a template, for example, is not in it.
struct Command {
    /// Position in the input, from 1: GNU parallel's `Seq`.
    std::size_t number = 0;
    /// The text for the shell. Empty if a template gives it.
    std::string text = {};
    /// The values for the marks of the template.
    std::vector<std::string> values = {};

    /// The bytes that count for the limit of the backlog.
    std::size_t size_bytes() const noexcept {
        std::size_t sum = text.size();
        for (const std::string& value : values) sum += value.size();
        return sum;
    }
};

class Feed {
public:
    Feed() = default;
    Feed(const Feed&) = delete;
    Feed& operator=(const Feed&) = delete;
    virtual ~Feed() = default;

    /// The next command; nothing at the end. Returns without waiting where it can.
    /// Throws: InputError (`input.h`). After it, the feed gives no more commands.
    /// Cancellation: no command is lost.
    virtual asyncio::Coro<std::optional<Command>> next() = 0;

    /// Whether the end of the input is sure to come soon, so that the remaining commands can be
    /// counted. A pipe may never end.
    virtual bool is_finite() const noexcept = 0;

    /// A remark for the user about the input. The caller asks for it at the end. Empty: no remark.
    virtual std::string remark() const { return {}; }
};

}  // namespace tool::batch
