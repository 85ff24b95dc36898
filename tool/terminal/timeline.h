#pragma once
// Draws when things happened: a bar for each below an axis of seconds.
//
//                          0 s           1 s            2 s
//   sleep 1 && echo hello  ▕██████████████
//   sleep 1.5              ▕██████████████████████
//   echo world             ▕
//   sleep 500              ▕██████████████████████████████
//
// Without a UTF-8 locale, which has block characters, the bars are drawn in ASCII.

#include <asyncio.h>

#include "terminal/text.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tool {

/// Both times are measured from the beginning of the axis.
struct TimelineBar {
    /// It may hold any bytes.
    std::string_view label;
    asyncio::Duration begin{};
    asyncio::Duration end{};
};

/// The drawing, `width` columns wide, with an axis that ends at `whole`. Empty without bars.
std::string draw_timeline(std::span<const TimelineBar> bars, asyncio::Duration whole,
                          std::size_t width, Charset charset);

}  // namespace tool
