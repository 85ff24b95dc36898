#pragma once
// How the library's functions take a time: `Delay` for how long, `Deadline` for until when.
//
// A parameter of either type takes every `std::chrono` value, of any unit, integer or
// floating-point, and keeps it in nanoseconds. A value that does not fit becomes the largest number
// of nanoseconds there is, about 292 years, and that means "for ever". The obvious alternative, a
// parameter of the type `Duration`, would refuse `0.5s`; and a thousand years would wrap around to
// a negative time, which has passed already. A template parameter for every duration would be
// instantiated for each unit, and could not stand in an options struct.
//
// A bare number does not compile, since its unit is unknown: Python counts in seconds, poll(2) in
// milliseconds. The error message says what to write.

#include <asyncio/internal/base/time.h>

#include <chrono>
#include <concepts>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace internal {

template <class Number>
concept BareNumber = std::is_arithmetic_v<std::remove_cvref_t<Number>>;

/// False, but only when a template that uses it is instantiated: for `static_assert`s in branches
/// that must not be taken.
template <class...>
inline constexpr bool never_true = false;

/// Whether a tick of `Period` is a whole number of nanoseconds that fits into `Duration::rep`. Such
/// ticks are converted with integers, exactly; all others go through floating point.
template <class Period>
inline constexpr bool whole_nanoseconds =
    1'000'000'000 % Period::den == 0 &&
    Period::num <= std::numeric_limits<Duration::rep>::max() / (1'000'000'000 / Period::den);

/// `ticks` of `Period` in nanoseconds, rounded to the nearest one, and limited to what `Duration`
/// can hold. Throws: `std::invalid_argument` if `ticks` is not a number (NaN).
template <class Period>
constexpr Duration nanoseconds_near(long double ticks) {
    if (ticks != ticks) throw std::invalid_argument("a time is not a number");
    const long double count = ticks * (static_cast<long double>(Period::num) * 1e9L) / Period::den;
    constexpr long double beyond = 9223372036854775808.0L;  // 2^63
    if (count >= beyond) return Duration::max();
    if (count <= -beyond) return Duration::min();
    return Duration(static_cast<Duration::rep>(count + (count < 0 ? -0.5L : 0.5L)));
}

/// `given` in nanoseconds, rounded to the nearest one, and limited to what `Duration` can hold.
template <class Rep, class Period>
constexpr Duration saturated(const std::chrono::duration<Rep, Period>& given) {
    if constexpr (!std::integral<Rep> || !whole_nanoseconds<Period>) {
        return nanoseconds_near<Period>(static_cast<long double>(given.count()));
    } else {
        constexpr Duration::rep tick = Period::num * (1'000'000'000 / Period::den);
        if (std::cmp_greater(given.count(), Duration::max().count() / tick)) return Duration::max();
        if (std::cmp_less(given.count(), Duration::min().count() / tick)) return Duration::min();
        return Duration(static_cast<Duration::rep>(given.count()) * tick);
    }
}

}  // namespace internal

/// A length of time. Every function that waits or sets a limit takes one, and so does every option
/// that is a time.
///
/// Made from any `std::chrono` duration: `5s`, `0.5s`, `std::chrono::duration<double>(x)`. The
/// value is rounded to the nearest nanosecond. A value beyond `Duration::max()`, about 292 years,
/// and infinity become `Duration::max()`. A delay or a limit of this length never ends. The
/// function that takes the `Delay` says what zero and negative values mean.
/// Throws: `std::invalid_argument` if it is not a number (NaN).
/// Python: a number of seconds. Here a bare number does not compile.
class Delay {
public:
    /// Zero.
    constexpr Delay() noexcept = default;
    /// From any duration. Implicit, so that a call can say `sleep(1s)`.
    template <class Rep, class Period>
    constexpr Delay(const std::chrono::duration<Rep, Period>& given)
        : duration_(internal::saturated(given)) {}
    /// Refuses a bare number with a sentence that says what to write.
    template <internal::BareNumber Number>
    constexpr Delay(Number) {
        static_assert(internal::never_true<Number>, "a time needs a unit: sleep(1s)");
    }

    /// The value as a `std::chrono` duration, for arithmetic.
    constexpr Duration duration() const noexcept { return duration_; }
    constexpr operator Duration() const noexcept { return duration_; }

    friend constexpr bool operator==(Delay, Delay) noexcept = default;
    friend constexpr auto operator<=>(Delay a, Delay b) noexcept {
        return a.duration_ <=> b.duration_;
    }

private:
    Duration duration_{};
};
static_assert(std::is_trivially_destructible_v<Delay>);

/// A point in time on the loop's clock. `call_at`, `timeout_at` and `Timeout::reschedule` take one.
///
/// Made from any time point of `Clock`, so also from `loop.time() + 0.5s`. `TimePoint::max()` is a
/// deadline that never comes. A time point of another clock, a duration, and a bare number do not
/// compile.
/// Throws: `std::invalid_argument` if it is not a number (NaN).
/// Python: a number of seconds, as `loop.time()` returns it.
class Deadline {
public:
    template <class Span>
    constexpr Deadline(const std::chrono::time_point<Clock, Span>& given)
        : when_(internal::saturated(given.time_since_epoch())) {}
    /// Refuses a time point of another clock, whose zero need not be that of the loop's clock.
    template <class Other, class Span>
        requires(!std::same_as<Other, Clock>)
    constexpr Deadline(const std::chrono::time_point<Other, Span>&) {
        static_assert(internal::never_true<Other>,
                      "a deadline must be a time of the loop's clock: loop.time() + 1s");
    }
    template <class Rep, class Period>
    constexpr Deadline(const std::chrono::duration<Rep, Period>&) {
        static_assert(internal::never_true<Rep>,
                      "a deadline must be a point in time: loop.time() + 1s");
    }
    template <internal::BareNumber Number>
    constexpr Deadline(Number) {
        static_assert(internal::never_true<Number>, "a time needs a unit: loop.time() + 1s");
    }

    /// The value as a `std::chrono` time point, for arithmetic.
    constexpr TimePoint time_point() const noexcept { return when_; }
    constexpr operator TimePoint() const noexcept { return when_; }

private:
    TimePoint when_;
};
static_assert(std::is_trivially_destructible_v<Deadline>);

}  // namespace asyncio
