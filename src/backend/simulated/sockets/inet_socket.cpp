// Local addresses and ports: bind(2), and what connect(2) and sendto(2) choose without it.
//
// The order in which `bind` looks for errors is that of inet_bind_sk and inet_csk_get_port: first
// the form of the address, then whether the host has it, then the state of the socket, then the
// port.

#include "backend/simulated/sockets/inet_socket.h"

#include "backend/simulated/network.h"

#include <cerrno>

#include <netinet/in.h>

namespace asyncio::lowlevel::simulated {

InetSocket::InetSocket(Host& host, int family, int type) noexcept
    : Socket(host, family, type),
      local_{Ip::any(family), 0},
      peer_{Ip::any(family), 0},
      ports_(type == SOCK_STREAM ? host.tcp : host.udp) {}

bool InetSocket::is_v6_only() const noexcept { return option(IPPROTO_IPV6, IPV6_V6ONLY) != 0; }

/// 0.0.0.0 takes every IPv4 address. :: takes every IPv6 address, and IPv4 as well unless the
/// socket says otherwise.
bool InetSocket::takes(const Ip& ip) const noexcept {
    if (local_.ip == ip) return true;
    if (!local_.ip.is_any()) return false;
    return local_.ip.is_v4() == ip.is_v4() || (ip.is_v4() && !is_v6_only());
}

/// Linux decides at bind(2) which families a socket of IPv6 serves.
int InetSocket::can_set(int level, int name) const noexcept {
    return level == IPPROTO_IPV6 && name == IPV6_V6ONLY && is_bound() ? -EINVAL : 0;
}

/// The checks come in the order of Linux, since a program can see which error wins. An address that
/// the host does not have is no address to bind to, whatever other hosts have.
int InetSocket::bind(const Operation& operation, Surroundings&) {
    Endpoint wanted;
    const int error = read_endpoint(operation.buffer, operation.size, family(), wanted);
    if (error != 0) return error;
    if (family() == AF_INET6 && wanted.ip.is_v4() && is_v6_only()) return -EINVAL;
    if (!wanted.ip.is_any() && !host().has(wanted.ip)) return -EADDRNOTAVAIL;
    if (is_bound() || peer_.port != 0) return -EINVAL;
    const bool names_port = wanted.port != 0;
    if (wanted.port == 0) wanted.port = ports_.unused_port();
    if (wanted.port == 0 || !ports_.is_free_for(*this, wanted)) return -EADDRINUSE;
    take_port(wanted);
    binds_ip_ = !wanted.ip.is_any();
    binds_port_ = names_port;
    return 0;
}

/// What connect(2) and sendto(2) do for a socket without a local address.
int InetSocket::bind_to_unused_port() {
    const std::uint16_t port = ports_.unused_port();
    if (port == 0) return -EADDRNOTAVAIL;
    take_port({local_.ip, port});
    return 0;
}

/// The table is told after the address is set, because it files the socket under its port.
void InetSocket::take_port(const Endpoint& wanted) {
    const Endpoint before = local_;
    local_ = wanted;
    try {
        ports_.add(*this);
    } catch (...) {
        local_ = before;
        throw;
    }
}

/// The IP address stays. The port becomes 0, and others may take it.
void InetSocket::leave_port() noexcept {
    if (!is_bound()) return;
    ports_.remove(*this);
    local_.port = 0;
}

/// As __udp_disconnect. A bind to port 0 has fixed the IP address alone.
void InetSocket::leave_chosen_address() noexcept {
    if (!binds_ip_) local_.ip = Ip::any(family());
    if (!binds_port_) leave_port();
}

/// 0.0.0.0 and :: as the address of a peer mean this host.
int InetSocket::read_peer(const void* address, std::size_t length, Endpoint& peer) const noexcept {
    const int error = read_endpoint(address, length, family(), peer);
    if (error == 0 && peer.ip.is_any()) peer.ip = Ip::loopback(peer.ip.family());
    return error;
}

/// A socket that is bound to an address keeps it. Whether the peer can answer to this address is
/// not checked, as in Linux: a socket bound to 127.0.0.1 gets no answers from elsewhere.
int InetSocket::choose_source(const Endpoint& peer, const Surroundings& around,
                              Ip& source) const noexcept {
    if (peer.ip.is_v4() && is_v6_only()) return -ENETUNREACH;
    if (!local_.ip.is_any()) {
        source = local_.ip;
        return around.network.host_at(host(), peer.ip) == nullptr ? -ENETUNREACH : 0;
    }
    return around.network.source_for(host(), peer.ip, source) ? 0 : -ENETUNREACH;
}

}  // namespace asyncio::lowlevel::simulated
