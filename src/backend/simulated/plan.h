#pragma once
// The plan of a simulated run: every choice the back-end's contract leaves open, drawn from one
// seed.
//
// A kernel is free to finish an operation now or later, to move fewer bytes than asked, and to let
// a cancellation come too late. Programs come to rely on what happens on their author's machine.
// The plan takes the choice away from the machine: another seed is another machine, equally legal,
// and the same seed is the same machine again, which makes a rare failure repeatable.
//
// Seed 0 is the simplest machine: every operation finishes at once, moves all its bytes, and is
// reported in order.
//
// Every other seed first draws how often each thing happens in this run, and then lets it happen at
// that rate. With fixed rates every run would be the same mixture of everything. A fault that needs
// twenty delays in a row, or none at all, would never show (this is "swarm testing": Groce et al.,
// ISSTA 2012).
//
// The order of the questions is part of a run: each one takes a number from the sequence. So the
// world asks only where there is a choice, and a change in when it asks makes another run of every
// seed.
//
// Thread-safety: none. A plan belongs to one world.

#include <asyncio/internal/base/time.h>

#include "backend/simulated/dice.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Plan {
public:
    explicit Plan(std::uint64_t seed) noexcept : plain_(seed == 0), dice_(seed) {
        if (plain_) return;
        rates_.finishes_in_submit = dice_.below(17);
        rates_.delayed = dice_.below(13);
        rates_.shortened = dice_.below(17);
        rates_.returns_early = dice_.below(5);
        rates_.cancel_wins = dice_.below(17);
    }

    /// Whether an operation that could finish now does so inside `submit`, without ever being in
    /// flight.
    bool finishes_in_submit() noexcept {
        return plain_ || dice_.happens(rates_.finishes_in_submit);
    }

    /// For how long an operation that could finish is left alone first. Zero: until the next look
    /// at it. At most a tenth of a millisecond, far below the time limits that programs set, so
    /// that a delay alone never makes a limit expire.
    Duration delay() noexcept {
        if (plain_ || !dice_.happens(rates_.delayed)) return Duration::zero();
        return std::chrono::microseconds(1 + dice_.below(100));
    }

    /// How many of `most` bytes (at least one) are moved.
    std::size_t shortened(std::size_t most) noexcept {
        if (plain_ || most <= 1 || !dice_.happens(rates_.shortened)) return most;
        return 1 + static_cast<std::size_t>(dice_.below(most));
    }

    /// Whether a cancelled operation ends as −ECANCELED even where it could succeed.
    bool cancel_wins() noexcept { return plain_ || dice_.happens(rates_.cancel_wins); }

    /// Whether this `wait` returns at once and with nothing. At most every fourth does, so a
    /// program that waits again makes progress.
    bool wait_returns_early() noexcept { return !plain_ && dice_.happens(rates_.returns_early); }

    /// Whether the lowest free descriptor number is given out again, as a kernel does. In the plain
    /// run a number is used once, so that a trace names each pipe without doubt.
    bool reuses_numbers() const noexcept { return !plain_; }

    /// Brings what finished together into the order in which it is reported (Fisher and Yates).
    template <class Element>
    void shuffle(std::vector<Element>& elements) noexcept {
        if (plain_) return;
        for (std::size_t last = elements.size(); last > 1; --last) {
            std::swap(elements[last - 1], elements[static_cast<std::size_t>(dice_.below(last))]);
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

    bool plain_;
    Dice dice_;
    Rates rates_;
};

}  // namespace asyncio::lowlevel::simulated
