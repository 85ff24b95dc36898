#pragma once
// The ways between the hosts of the simulated network: how long packets travel, and which of them
// do not arrive.
//
// A packet is a segment of a stream, a datagram, or an answer without bytes. Within a host packets
// are never lost, and the plain world delivers them at once. Under a seed they take up to a tenth
// of a millisecond more, on every way. This is as short as the plan's delays, and for the same
// reason: a delay alone must not make a time limit expire.
//
// All choices come from the dice of the network. They are asked only where a choice exists, since
// each question changes what comes after it.
//
// Thread-safety: none. The links belong to one network.

#include <asyncio/internal/base/time.h>
#include <asyncio/lowlevel/simulated_network.h>

#include "backend/simulated/dice.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Links {
public:
    explicit Links(std::uint64_t seed) noexcept;

    /// A further host: hosts are numbers from 0 on. Throws: `std::bad_alloc`.
    void add_host();

    void set(int from, int to, const SimulatedLink& link) noexcept { at(from, to).own = link; }
    void set_usual(const SimulatedLink& link) noexcept { usual_ = link; }
    void cut(int from, int to, bool is_cut) noexcept { at(from, to).is_cut = is_cut; }

    /// How long so many bytes, sent now, are on their way. Empty: they are lost.
    std::optional<Duration> travel(int from, int to, std::size_t bytes, TimePoint now) noexcept;

    /// The arrivals of a datagram: none, one, or two.
    struct Arrivals {
        std::array<TimePoint, 2> times{};
        std::size_t count = 0;
    };
    Arrivals travel_as_datagram(int from, int to, std::size_t bytes, TimePoint now) noexcept;

    /// How many of `most` bytes (at least one) of a stream go into one segment.
    std::size_t piece_of(int from, int to, std::size_t most) noexcept;

    bool is_plain() const noexcept { return plain_; }
    Dice& dice() noexcept { return dice_; }

private:
    struct Link {
        std::optional<SimulatedLink> own;
        bool is_cut = false;
        /// Until when the packets before take up the bandwidth.
        TimePoint busy_until{};
        /// When the last datagram arrives that was not overtaken.
        TimePoint last_datagram{};
    };

    Link& at(int from, int to) noexcept {
        return links_[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
    }
    const SimulatedLink& settings(int from, int to) noexcept;
    bool happens(double probability) noexcept;
    Duration random_up_to(Duration most) noexcept;

    bool plain_;
    Dice dice_;
    /// How often a parcel takes its time, and how often a segment is cut, in sixteenths.
    std::uint64_t delayed_;
    std::uint64_t shortened_;
    SimulatedLink usual_;
    std::vector<std::vector<Link>> links_;
};

}  // namespace asyncio::lowlevel::simulated
