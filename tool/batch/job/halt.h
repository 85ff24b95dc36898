#pragma once
// The rule by which a batch stops before its end: GNU parallel's `--halt`.
//
//   never               the batch does not stop early (the default)
//   soon,fail=3         after three failures, start no more commands; running commands end normally
//   now,fail=1          after one failure, end the running commands as well
//
// `success` and `done` may stand in place of `fail`. The rule also decides the exit status of the
// batch, as in GNU parallel; percentages are not understood.

#include "batch/job/tally.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tool::batch {

struct Halt {
    enum class When : std::uint8_t { never, soon, now };
    enum class Why : std::uint8_t { fail, success, done };

    When when = When::never;
    Why why = Why::fail;
    std::size_t count = 0;

    /// Whether the numbers of the batch fulfil the rule.
    bool reached(const Tally& tally) const noexcept;
};

/// Returns nothing if `text` has none of the forms above.
std::optional<Halt> parse_halt(std::string_view text);

}  // namespace tool::batch
