#pragma once
// The commands of a batch, one after another, as their input gives them.

#include <asyncio.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace batch {

/// A command that waits. There may be many of them, so it holds no more than it must.
struct Command {
    /// Position in the input, from 1: GNU parallel's `Seq`.
    std::size_t number = 0;
    /// What the shell runs; empty where a template says that.
    std::string text = {};
    /// What the template's marks stand for.
    std::vector<std::string> values = {};

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
    /// Throws: InputError (`input.h`), behind which there is nothing.
    /// Cancellation: no command is lost.
    virtual asyncio::Coro<std::optional<Command>> next() = 0;

    /// Whether the end is sure to come soon, so that what is left can be counted.
    virtual bool is_finite() const noexcept = 0;

    /// What a user should know about the input; asked for at its end. Empty: nothing.
    virtual std::string remark() const { return {}; }
};

}  // namespace batch
