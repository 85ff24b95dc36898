#pragma once
// When a batch stops before its end: GNU parallel's `--halt`.
//
//   never               at no time (the default)
//   soon,fail=3         three commands have failed: start no more, let those that run end
//   now,fail=1          one has failed: end those that run as well
//
// `success` and `done` may stand in place of `fail`. The rule also decides the exit status of the
// batch, as in GNU parallel; percentages are not understood.

#include "batch/tally.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace batch {

struct Halt {
    enum class When : std::uint8_t { never, soon, now };
    enum class Why : std::uint8_t { fail, success, done };

    When when = When::never;
    Why why = Why::fail;
    std::size_t count = 0;

    /// Whether what has happened so far is enough.
    bool reached(const Tally& tally) const noexcept;
};

/// Nothing if `text` is none of the above.
std::optional<Halt> parse_halt(std::string_view text);

}  // namespace batch
