#pragma once
// What the tests of the heap of deadlines share: timers with a number, and deadlines.

#include "base/timer_heap.h"

#include <cstdint>

namespace timer_heap_test {

/// The slot of a timer that is not in a heap.
inline constexpr std::uint32_t none = ~std::uint32_t{0};

struct Item {
    std::uint32_t slot = none;
    int number = 0;
};

using Heap = asyncio::internal::BasicTimerHeap<Item>;

inline asyncio::TimePoint at(std::int64_t nanoseconds) {
    return asyncio::TimePoint{} + asyncio::Duration(nanoseconds);
}

}  // namespace timer_heap_test
