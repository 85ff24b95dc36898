// The text of `--halt`, and the check after each command.
//
// Failures are counted with timeouts, as everywhere in a batch. Interrupted commands are not
// counted: the batch itself has ended them, so they say nothing about the commands.

#include "batch/job/halt.h"

#include "parse.h"

namespace tool::batch {
namespace {

std::optional<Halt::When> parse_when(std::string_view word) {
    if (word == "soon") return Halt::When::soon;
    if (word == "now") return Halt::When::now;
    return std::nullopt;
}

std::optional<Halt::Why> parse_why(std::string_view word) {
    if (word == "fail") return Halt::Why::fail;
    if (word == "success") return Halt::Why::success;
    if (word == "done") return Halt::Why::done;
    return std::nullopt;
}

/// A whole number, one or more.
std::optional<std::size_t> parse_count(std::string_view word) {
    const auto count = parse_number<std::size_t>(word);
    return count == 0U ? std::nullopt : count;
}

}  // namespace

bool Halt::reached(const Tally& tally) const noexcept {
    if (when == When::never) return false;
    switch (why) {
        case Why::fail: return tally.failures() >= count;
        case Why::success: return tally.complete >= count;
        case Why::done: return tally.done() >= count;
    }
    return false;
}

std::optional<Halt> parse_halt(std::string_view text) {
    if (text == "never") return Halt{};
    const std::optional<Halt::When> when = parse_when(take_until(text, ','));
    const std::optional<Halt::Why> why = parse_why(take_until(text, '='));
    const std::optional<std::size_t> count = parse_count(text);
    if (!when || !why || !count) return std::nullopt;
    return Halt{*when, *why, *count};
}

}  // namespace tool::batch
