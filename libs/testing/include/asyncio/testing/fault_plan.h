#pragma once
// Faults of a simulated network, written down: what happens, and when.
//
// A plan is a list. A test can write it in C++ or as a text, and the text of a plan that a seed has
// drawn can be pasted into a test:
//
//     1s partition client server
//     5s heal client server
//     6s500ms reset client server
//     7s die server
//     9s come_back server
//     10s link client server latency=20ms loss=0.1
//     11s clock server -3s drift=0.001
//     12s disk server 0
//
// Times count from the moment at which the plan is given to the network.
//
// Thread-safety: plain values.

#include <asyncio/lowlevel/simulated_network.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::testing {

/// How packets travel from one host to another: latency, jitter, bandwidth, loss, duplication,
/// reordering, the size of pieces. The members are described in lowlevel/simulated_network.h.
using Link = lowlevel::SimulatedLink;

/// Something that happens to a network. Make it by the functions; hosts are named by their names.
struct Fault {
    enum class Kind : std::uint8_t {
        partition,
        heal,
        heal_all,
        reset,
        die,
        come_back,
        link,
        clock,
        disk
    };

    /// No packet passes between the two, in either direction.
    static Fault partition(std::string one, std::string other);
    /// Ends a partition of the two.
    static Fault heal(std::string one, std::string other);
    /// Ends all partitions.
    static Fault heal_all();
    /// Both ends of every TCP connection between the two get ECONNRESET.
    static Fault reset(std::string one, std::string other);
    /// The host loses its power (`Host::die`).
    static Fault die(std::string host);
    /// The host is on again.
    static Fault come_back(std::string host);
    /// The link between the two, in both directions, behaves so from now on.
    static Fault link(std::string one, std::string other, const Link& link);
    /// The clock of the host differs so much from the right time from now on, and goes wrong by
    /// `drift` seconds more in every second (`Host::set_clock_skew`).
    static Fault clock(std::string host, Duration skew, double drift = 0);
    /// The files of the host may hold so many bytes together from now on (`Host::set_disk_size`).
    static Fault disk(std::string host, std::uint64_t size_bytes);

    Kind kind = Kind::heal_all;
    std::string one = {};
    std::string other = {};
    Link settings = {};
    Duration skew{};
    double drift = 0;
    std::uint64_t size_bytes = 0;
};

/// An entry of a plan.
struct PlannedFault {
    /// How long after the beginning of the plan. Not negative.
    Duration when{};
    Fault what = {};
};

/// In any order.
using FaultPlan = std::vector<PlannedFault>;

/// The plan as a text, one line for each fault.
std::string to_text(const FaultPlan& plan);

/// Reads the text of a plan. Empty lines, and what follows a `#`, mean nothing. A time is a sum of
/// whole numbers with units: `1h`, `2m`, `3s`, `4ms`, `5us`, `6ns`, `1s500ms`.
/// Throws: `std::invalid_argument` that quotes the line, if it is no fault.
FaultPlan plan_of_text(std::string_view text);

}  // namespace asyncio::testing
