// What happens to a packet, in the order in which the questions are asked: is the link cut, is the
// packet lost, how long does it wait for the bandwidth, how long does it travel, is it overtaken,
// is it doubled. The order is a part of every run, since each answer takes a number from the dice.

#include "backend/simulated/links.h"

#include <algorithm>

namespace asyncio::lowlevel::simulated {

namespace {

/// Another sequence than the plan's, which has the same seed.
constexpr std::uint64_t salt_of_network = 0x6e6574776f726bu;
/// The settings of the way from a host to itself.
constexpr SimulatedLink inside_a_host{};
/// By how much more than the latency a datagram is late that is overtaken.
constexpr Duration overtaken_at_least = std::chrono::milliseconds{1};

/// How long a link of this bandwidth is busy. The product fits: it is less than 2⁶⁴ for 18 GB.
Duration busy_time(std::size_t bytes, std::uint64_t bytes_per_second) noexcept {
    if (bytes_per_second == 0) return Duration::zero();
    return std::chrono::nanoseconds(bytes * 1'000'000'000u / bytes_per_second);
}

}  // namespace

Links::Links(std::uint64_t seed) noexcept
    : plain_(seed == 0),
      dice_(seed ^ salt_of_network),
      delayed_(plain_ ? 0 : dice_.below(17)),
      shortened_(plain_ ? 0 : dice_.below(17)) {}

/// A square: a link for each ordered pair, and one from each host to itself. Tests have a few
/// hosts, and a packet then finds its link without a search.
void Links::add_host() {
    const std::size_t hosts = links_.size() + 1;
    links_.emplace_back().reserve(hosts);
    for (auto& from_host : links_) from_host.resize(hosts);
}

const SimulatedLink& Links::settings(int from, int to) noexcept {
    if (from == to) return inside_a_host;
    const Link& link = at(from, to);
    return link.own ? *link.own : usual_;
}

/// A probability of zero costs no number, so a link without faults changes no run.
bool Links::happens(double probability) noexcept {
    constexpr std::uint64_t whole = std::uint64_t{1} << 32;
    if (probability <= 0) return false;
    return static_cast<double>(dice_.below(whole)) < probability * static_cast<double>(whole);
}

Duration Links::random_up_to(Duration most) noexcept {
    if (most <= Duration::zero()) return Duration::zero();
    return Duration(
        static_cast<Duration::rep>(dice_.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

/// A packet that is lost takes no bandwidth: it is lost at the beginning of its way.
std::optional<Duration> Links::travel(int from, int to, std::size_t bytes, TimePoint now) noexcept {
    const SimulatedLink& way = settings(from, to);
    Link& link = at(from, to);
    if (link.is_cut || happens(way.loss)) return std::nullopt;
    link.busy_until = std::max(link.busy_until, now) + busy_time(bytes, way.bytes_per_second);
    Duration time = way.latency + random_up_to(way.jitter);
    if (!plain_ && dice_.happens(delayed_)) time += std::chrono::microseconds(1 + dice_.below(100));
    return link.busy_until - now + time;
}

/// Datagrams keep the order of their link, whatever the jitter is: routers have queues. Only the
/// rate of reordering lets one be overtaken, so a test has the order in its hand. The second copy
/// of a datagram makes its own way, and may be lost or overtaken, too.
Links::Arrivals Links::travel_as_datagram(int from, int to, std::size_t bytes,
                                          TimePoint now) noexcept {
    Arrivals arrivals;
    const SimulatedLink& way = settings(from, to);
    Link& link = at(from, to);
    for (const bool again : {false, true}) {
        if (again && !happens(way.duplication)) break;
        const std::optional<Duration> time = travel(from, to, bytes, now);
        if (!time) continue;
        TimePoint arrival = internal::add_saturating(now, *time);
        if (happens(way.reordering)) {
            arrival += way.latency + random_up_to(way.latency + way.jitter) + overtaken_at_least;
        } else {
            arrival = link.last_datagram = std::max(link.last_datagram, arrival);
        }
        arrivals.times[arrivals.count++] = arrival;
    }
    return arrivals;
}

/// A segment of any size may leave a real sender, and any part of it may be all that a receiver
/// finds. So the seed cuts segments within a host, too.
std::size_t Links::piece_of(int from, int to, std::size_t most) noexcept {
    const std::uint64_t largest = settings(from, to).largest_piece_bytes;
    if (largest > 0) most = static_cast<std::size_t>(std::min<std::uint64_t>(most, largest));
    if (plain_ || most <= 1 || !dice_.happens(shortened_)) return most;
    return 1 + static_cast<std::size_t>(dice_.below(most));
}

}  // namespace asyncio::lowlevel::simulated
