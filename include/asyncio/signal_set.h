#pragma once
// A set of signals as an argument, `{SIGTERM, SIGHUP}`, and the names of signals.
//
// A set is one word with a bit for each signal: Linux has 64. POSIX has `sigset_t` for this
// purpose, but that type takes 128 bytes, has no equality, and is filled by calls. The options of
// `run` must be trivially destructible and are written in braces, and so are the sets in them.
//
// The header includes `<csignal>`, so a program that uses a signal has its number.
//
// Thread-safety: any thread.

#include <concepts>
#include <csignal>
#include <cstdint>
#include <string>

namespace asyncio {

/// A set of signals, which are given by their numbers.
/// Python: the set of numbers that `signal.pthread_sigmask` takes.
class SignalSet {
public:
    /// The highest number of a signal; the lowest is 1.
    static constexpr int highest = 64;

    /// The empty set.
    constexpr SignalSet() noexcept = default;
    /// The set of `signals`. A single number is a set, too.
    ///
    /// The parameters are a pack and not a `std::initializer_list`: g++ 12 does not compile such a
    /// list in an expression with a `co_await`.
    /// Throws: `std::invalid_argument` if a number is not between 1 and 64.
    template <std::same_as<int>... Numbers>
        requires(sizeof...(Numbers) > 0)
    constexpr SignalSet(Numbers... signals) : bits_((bit_of(signals) | ...)) {}

    constexpr bool empty() const noexcept { return bits_ == 0; }
    /// Whether `signal` is in the set. False for a number that no signal has.
    constexpr bool contains(int signal) const noexcept {
        return signal >= 1 && signal <= highest && (bits_ & bit(signal)) != 0;
    }
    /// Calls `visit(signal)` for each signal of the set, the lowest number first.
    template <class Visit>
    constexpr void for_each(Visit&& visit) const {
        for (int signal = 1; signal <= highest; ++signal)
            if (contains(signal)) visit(signal);
    }

    /// The signals of both sets.
    friend constexpr SignalSet operator|(SignalSet one, SignalSet other) noexcept {
        one.bits_ |= other.bits_;
        return one;
    }
    friend constexpr bool operator==(SignalSet, SignalSet) noexcept = default;

private:
    static constexpr std::uint64_t bit(int signal) noexcept {
        return std::uint64_t{1} << (signal - 1);
    }
    static constexpr std::uint64_t bit_of(int signal) {
        if (signal < 1 || signal > highest) refuse(signal);
        return bit(signal);
    }
    /// Throws: `std::invalid_argument` "0 is not the number of a signal".
    [[noreturn, gnu::cold]] static void refuse(int signal);

    std::uint64_t bits_ = 0;
};

/// The name of a signal: "SIGTERM", "SIGRTMIN+3" for a real-time signal, and "signal 99" for a
/// number that has no name.
/// Python: `signal.Signals(number).name`, which raises ValueError for the last.
std::string signal_name(int signal);

}  // namespace asyncio
