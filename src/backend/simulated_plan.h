#pragma once
// The plan of a simulated run: every choice the back-end's contract leaves open, drawn from one
// seed.
//
// A kernel is free to finish an operation now or later, to move fewer bytes than asked, to let a
// cancellation lose its race. Programs come to rely on whichever happens on their author's machine.
// The plan takes the choice away from the machine: another seed is another, equally legal machine,
// and the same seed is the same machine again, which is what makes a rare failure repeatable.
//
// Seed 0 is the machine without moods: everything at once, whole, in order.
//
// Every other seed first draws how often each thing happens in this run, and only then lets it
// happen at that rate. With fixed rates every run would be the same mixture of everything, and what
// needs twenty delays in a row, or none at all, would never be seen (this is "swarm testing": Groce
// et al., ISSTA 2012).
//
// Thread-safety: none. A plan belongs to one world.

#include <asyncio/internal/time.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Plan {
public:
    explicit Plan(std::uint64_t seed) noexcept : plain_(seed == 0), state_(seed) {
        if (plain_) return;
        rates_.finishes_in_submit = below(17);
        rates_.delayed = below(13);
        rates_.shortened = below(17);
        rates_.returns_early = below(5);
        rates_.cancel_wins = below(17);
    }

    /// Does an operation that could finish now do so inside `submit`, without being in flight at
    /// all?
    bool finishes_in_submit() noexcept { return plain_ || happens(rates_.finishes_in_submit); }

    /// How long an operation that could finish is left alone first. Zero: until the next look at
    /// it. At most a tenth of a millisecond, far below the time limits programs set.
    Duration delay() noexcept {
        if (plain_ || !happens(rates_.delayed)) return Duration::zero();
        return std::chrono::microseconds(1 + below(100));
    }

    /// How many of `most` bytes (at least one) are moved.
    std::size_t shortened(std::size_t most) noexcept {
        if (plain_ || most <= 1 || !happens(rates_.shortened)) return most;
        return 1 + static_cast<std::size_t>(below(most));
    }

    /// Does a cancelled operation end as −ECANCELED even where it could succeed?
    bool cancel_wins() noexcept { return plain_ || happens(rates_.cancel_wins); }

    /// Does this `wait` return at once and with nothing? At most every fourth does, so waiting
    /// ends.
    bool wait_returns_early() noexcept { return !plain_ && happens(rates_.returns_early); }

    /// Is the lowest free descriptor number given out again, as a kernel does? In the plain run a
    /// number is never used twice, so that a trace names each pipe unmistakably.
    bool reuses_numbers() const noexcept { return !plain_; }

    /// Brings what finished together into the order in which it is reported (Fisher and Yates).
    template <class Element>
    void shuffle(std::vector<Element>& elements) noexcept {
        if (plain_) return;
        for (std::size_t last = elements.size(); last > 1; --last) {
            std::swap(elements[last - 1], elements[static_cast<std::size_t>(below(last))]);
        }
    }

private:
    /// Sixteenths: 16 is always, 0 is never.
    struct Rates {
        std::uint64_t finishes_in_submit = 0;
        std::uint64_t delayed = 0;
        std::uint64_t shortened = 0;
        std::uint64_t returns_early = 0;
        std::uint64_t cancel_wins = 0;
    };

    bool happens(std::uint64_t sixteenths) noexcept { return below(16) < sixteenths; }

    /// A number in [0, bound). The remainder favours small numbers by at most bound / 2⁶⁴, which no
    /// run is long enough to notice.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

    /// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA
    /// 2014): a counter in steps of 2⁶⁴ divided by the golden ratio, its bits then mixed until each
    /// depends on all. Ours rather than the library's, because `std::` distributions may differ
    /// between libraries, and a seed must mean the same run everywhere.
    std::uint64_t next() noexcept {
        state_ += 0x9e3779b97f4a7c15u;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
        return mixed ^ (mixed >> 31);
    }

    bool plain_;
    std::uint64_t state_;
    Rates rates_;
};

}  // namespace asyncio::lowlevel::simulated
