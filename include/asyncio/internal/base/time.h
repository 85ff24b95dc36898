#pragma once
// The types of time that the whole library uses.

#include <chrono>

namespace asyncio {

/// The type of every delay and limit. Nanoseconds, so a `std::chrono` duration of any coarser unit
/// converts implicitly.
using Duration = std::chrono::nanoseconds;

/// The loop's clock. Monotonic. On the simulated back-end it is virtual, and only its *type* is
/// that of the machine's clock.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

namespace internal {

/// A deadline that never comes, and one that has always passed. Both can be compared, but nothing
/// may be added to them.
inline constexpr TimePoint never = TimePoint::max();
inline constexpr TimePoint at_once = TimePoint::min();

/// `start + delay` that stops at `never` instead of overflowing: `sleep(Duration::max())` is a wait
/// without end.
constexpr TimePoint add_saturating(TimePoint start, Duration delay) noexcept {
    if (delay > Duration::zero() && start > never - delay) return never;
    return start + delay;
}

}  // namespace internal
}  // namespace asyncio
