// Hosts and ways.

#include "backend/simulated/network.h"

#include "backend/simulated/sockets/tcp_socket.h"
#include "backend/simulated/sockets/udp_socket.h"
#include "backend/simulated/sockets/unix_datagram.h"
#include "backend/simulated/sockets/unix_stream.h"

#include <algorithm>
#include <cerrno>
#include <new>

#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::lowlevel::simulated {

namespace {

/// Another sequence than the plan's, which has the same seed.
constexpr std::uint64_t salt_of_network = 0x6e6574776f726bu;

/// As socket(2): 0, or −errno.
int check_socket(int family, int type, int protocol) noexcept {
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM) return -ESOCKTNOSUPPORT;
    const int usual = family == AF_UNIX ? 0 : type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    return protocol == 0 || protocol == usual ? 0 : -EPROTONOSUPPORT;
}

ObjectPtr new_socket(Host& host, int family, int type) {
    const bool is_stream = type == SOCK_STREAM;
    if (family != AF_UNIX) {
        if (is_stream) return std::make_shared<TcpSocket>(host, family);
        return std::make_shared<UdpSocket>(host, family);
    }
    if (is_stream) return std::make_shared<UnixStream>(host);
    return std::make_shared<UnixDatagram>(host);
}

}  // namespace

bool Host::has(const Ip& ip) const noexcept {
    return ip.is_loopback() || std::find(addresses.begin(), addresses.end(), ip) != addresses.end();
}

Network::Network(std::uint64_t seed)
    : plain_(seed == 0),
      dice_(seed ^ salt_of_network),
      delayed_(plain_ ? 0 : dice_.below(17)),
      cut_(plain_ ? 0 : dice_.below(17)) {
    hosts_.push_back(std::make_unique<Host>("localhost"));
}

int Network::make_socket(const Operation& operation, Surroundings& around) {
    const int family = operation.events;
    const int type = operation.flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (const int error = check_socket(family, type, static_cast<int>(operation.offset));
        error != 0)
        return error;
    return around.descriptors.open(new_socket(host_of_caller(), family, type), 0);
}

Host* Network::host_at(Host& from, const Ip& to) const noexcept {
    if (from.has(to)) return &from;
    for (const auto& host : hosts_) {
        if (host->has(to)) return host.get();
    }
    return nullptr;
}

bool Network::source_for(Host& from, const Ip& to, Ip& source) const noexcept {
    if (host_at(from, to) == nullptr) return false;
    source = Ip::loopback(to.family());
    if (to.is_loopback()) return true;
    if (from.has(to)) source = to;
    if (from.has(to)) return true;
    const auto found = std::find_if(from.addresses.begin(), from.addresses.end(),
                                    [&](const Ip& own) { return own.is_v4() == to.is_v4(); });
    if (found == from.addresses.end()) return false;
    source = *found;
    return true;
}

/// Within a host nothing is lost, and the plain world delivers at once. Under a seed the parcels
/// take up to a tenth of a millisecond, as the plan's delays do, and for the same reason.
std::optional<Duration> Network::travel(const Host&, const Host&, std::size_t,
                                        const Surroundings&) noexcept {
    if (plain_ || !dice_.happens(delayed_)) return Duration::zero();
    return std::chrono::microseconds(1 + dice_.below(100));
}

std::size_t Network::cut(std::size_t most) noexcept {
    if (plain_ || most <= 1 || !dice_.happens(cut_)) return most;
    return 1 + static_cast<std::size_t>(dice_.below(most));
}

/// Without memory for the list, the sockets that are in a circle are not freed.
void Network::release_passengers() noexcept {
    Passengers all;
    try {
        for (const auto& host : hosts_)
            host->sockets.for_each([&](Socket& socket) { socket.surrender(all); });
    } catch (const std::bad_alloc&) {
    }
}

}  // namespace asyncio::lowlevel::simulated
