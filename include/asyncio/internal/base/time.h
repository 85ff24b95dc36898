#pragma once
// The library's one vocabulary of time.

#include <chrono>

namespace asyncio {

/// The type of every delay and limit. Nanoseconds, so a `std::chrono` duration of any coarser unit
/// converts implicitly.
using Duration = std::chrono::nanoseconds;

/// The loop's clock. Monotonic; on the simulated back-end it is virtual, and then only the *type*
/// is the machine's.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

namespace internal {

/// A deadline that never comes, and one that has always passed. Both survive comparison; neither
/// may be added to.
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
