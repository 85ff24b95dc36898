#pragma once
// Random numbers that mean the same on every machine: the source of all chance in the simulated
// world.
//
// The distributions of the standard library may differ from one library to the next, and a seed
// must mean the same run everywhere. So the numbers come from a generator of a few lines.
//
// Thread-safety: none. The dice belong to one world.

#include <cstdint>

namespace asyncio::lowlevel::simulated {

/// A sequence of numbers that the seed decides.
class Dice {
public:
    explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}

    /// Sixteenths: 16 is always, 0 is never.
    bool happens(std::uint64_t sixteenths) noexcept { return below(16) < sixteenths; }

    /// A number in [0, bound). The remainder favours small numbers by at most bound / 2⁶⁴, which no
    /// run is long enough to notice.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

private:
    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA
    /// 2014): a counter in steps of 2⁶⁴ divided by the golden ratio, whose bits are then mixed
    /// until each depends on all.
    std::uint64_t next() noexcept {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        return mixed ^ (mixed >> 31);
    }

    std::uint64_t state_;
};

}  // namespace asyncio::lowlevel::simulated
