// The search for conflicts and for receivers.
//
// The scores are those of compute_score in net/ipv4/udp.c and inet_hashtables.c: a socket with a
// peer is meant before one without, and one with this very address before one with any.

#include "backend/simulated/sockets/ports.h"

#include "backend/simulated/sockets/inet_socket.h"

#include <algorithm>

namespace asyncio::lowlevel::simulated {

namespace {

/// net.ipv4.ip_local_port_range.
constexpr std::uint16_t first_unused_port = 32'768;
constexpr std::uint16_t last_unused_port = 60'999;
constexpr int unused_ports = last_unused_port - first_unused_port + 1;

/// Whether a socket of IPv6 bound to :: takes IPv4 as well.
bool covers_all(const InetSocket& socket, const Ip& ip) noexcept {
    return ip == Ip::any(AF_INET6) && !socket.is_v6_only();
}

bool overlap(const InetSocket& one, const Ip& at, const InetSocket& other) noexcept {
    const Ip& taken = other.local().ip;
    if (covers_all(one, at) || covers_all(other, taken)) return true;
    if (at.is_v4() != taken.is_v4()) return false;
    return at == taken || at.is_any() || taken.is_any();
}

}  // namespace

bool Ports::is_free_for(const InetSocket& socket, const Endpoint& wanted) const noexcept {
    const auto found = bound_.find(wanted.port);
    if (found == bound_.end()) return true;
    const auto conflicts = [&](const InetSocket* other) {
        if (other == &socket || !overlap(socket, wanted.ip, *other)) return false;
        if (socket.reuses_port() && other->reuses_port()) return false;
        const bool share = socket.reuses_address() && other->reuses_address();
        return !share || other->is_listening();
    };
    return std::none_of(found->second.begin(), found->second.end(), conflicts);
}

/// One after the other, and not the lowest free one: a port that was just given back is not used
/// again at once, as with Linux.
std::uint16_t Ports::unused_port() noexcept {
    for (int tried = 0; tried < unused_ports; ++tried) {
        if (next_ < first_unused_port || next_ > last_unused_port) next_ = first_unused_port;
        const std::uint16_t port = next_++;
        if (!bound_.contains(port)) return port;
    }
    return 0;
}

void Ports::add(InetSocket& socket) { bound_[socket.local().port].push_back(&socket); }

void Ports::remove(InetSocket& socket) noexcept {
    const auto found = bound_.find(socket.local().port);
    if (found == bound_.end()) return;
    std::erase(found->second, &socket);
    if (found->second.empty()) bound_.erase(found);
}

/// The socket with the highest score, and the last one of several. A score of 0: the socket is not
/// meant. Sockets that share the port by SO_REUSEPORT share the senders; a sender has the same
/// receiver as long as these sockets exist.
template <class Score>
InetSocket* Ports::best(const Endpoint& to, const Endpoint& from, Score score) const noexcept {
    const auto found = bound_.find(to.port);
    if (found == bound_.end()) return nullptr;
    InetSocket* chosen = nullptr;
    int highest = 0;
    int equals = 0;
    for (InetSocket* socket : found->second) {
        const int points = score(*socket);
        if (points == 0 || points < highest) continue;
        equals = points > highest ? 1 : equals + 1;
        highest = points;
        chosen = socket;
    }
    if (equals < 2 || !chosen->reuses_port()) return chosen;
    int turn = from.port % equals;
    for (InetSocket* socket : found->second) {
        if (score(*socket) == highest && turn-- == 0) return socket;
    }
    return chosen;
}

InetSocket* Ports::listener_for(const Endpoint& to, const Endpoint& from) const noexcept {
    return best(to, from, [&](const InetSocket& socket) {
        if (!socket.is_listening() || !socket.takes(to.ip)) return 0;
        return socket.local().ip == to.ip ? 2 : 1;
    });
}

/// A socket that is connected takes what comes from its peer, and nothing else.
InetSocket* Ports::receiver_of(const Endpoint& to, const Endpoint& from) const noexcept {
    return best(to, from, [&](const InetSocket& socket) {
        if (!socket.takes(to.ip)) return 0;
        const bool connected = socket.peer().port != 0;
        if (connected && socket.peer() != from) return 0;
        return (connected ? 2 : 0) + (socket.local().ip == to.ip ? 2 : 1);
    });
}

}  // namespace asyncio::lowlevel::simulated
