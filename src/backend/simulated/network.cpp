// Hosts: their sockets, their addresses, and what happens to them.
//
// Routing is a search through the addresses of all hosts: a network of a test is one segment, on
// which every host reaches every other. What a test cannot reach is an address that no host has;
// the answer is ENETUNREACH at once, as on a machine without a route. A host that does not answer
// is a host that is off, or that is cut off.

#include "backend/simulated/network.h"

#include "backend/simulated/sockets/tcp_socket.h"
#include "backend/simulated/sockets/udp_socket.h"
#include "backend/simulated/sockets/unix_datagram.h"
#include "backend/simulated/sockets/unix_stream.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::lowlevel::simulated {

namespace {

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

/// An address that others can reach. Addresses with a meaning of their own are refused.
Ip ip_of(const Address& address) {
    Endpoint endpoint;
    const bool is_ip = address.is_ip() && read_endpoint(address.data(), address.size(),
                                                        address.family(), endpoint) == 0;
    if (!is_ip || endpoint.ip.is_any() || endpoint.ip.is_loopback() || endpoint.ip.is_for_many())
        throw std::invalid_argument(address.to_string() + " is not the address of a host");
    return endpoint.ip;
}

}  // namespace

Network::Network(const SimulationOptions& options, Surroundings& around,
                 const Descriptors& descriptors, TimePoint now)
    : around_(around),
      descriptors_(descriptors),
      disk_size_bytes_(options.disk_size_bytes),
      links_(options.seed) {
    links_.add_host();
    hosts_.push_back(
        std::make_unique<Host>(localhost, "localhost", std::vector<Ip>(), new_disk(now)));
    names_.add("localhost", {Ip::loopback(AF_INET6), Ip::loopback(AF_INET)});
}

// --- For the world and the sockets --------------------------------------------------------------

int Network::make_socket(const Operation& operation) {
    const int family = operation.events;
    const int type = operation.flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (const int error = check_socket(family, type, static_cast<int>(operation.offset));
        error != 0)
        return error;
    Host& host = host_of_caller();
    if (!host.is_on) return -ENETDOWN;
    return around_.descriptors.open(new_socket(host, family, type), 0);
}

Host& Network::host_of_caller() const noexcept {
    const HostNumber number = ask_caller_ == nullptr ? localhost : ask_caller_();
    return *hosts_[static_cast<std::size_t>(number)];
}

/// The own addresses come first. 127.0.0.1 exists on every host and means another one on each.
Host* Network::host_at(Host& from, const Ip& to) const noexcept {
    if (from.has(to)) return &from;
    const auto found = std::find_if(hosts_.begin(), hosts_.end(),
                                    [&](const auto& host) { return host->has_own(to); });
    return found == hosts_.end() ? nullptr : found->get();
}

/// As Linux chooses. A host speaks to one of its own addresses from this address, and to every
/// loopback address from 127.0.0.1, also to 127.0.0.2.
bool Network::source_for(Host& from, const Ip& to, Ip& source) const noexcept {
    if (host_at(from, to) == nullptr) return false;
    if (from.has_own(to)) {
        source = to;
        return true;
    }
    if (to.is_loopback()) {
        source = Ip::loopback(to.family());
        return true;
    }
    const auto found = std::find_if(from.addresses.begin(), from.addresses.end(),
                                    [&](const Ip& own) { return own.is_v4() == to.is_v4(); });
    if (found == from.addresses.end()) return false;
    source = *found;
    return true;
}

std::optional<Duration> Network::travel(const Host& from, const Host& to,
                                        std::size_t bytes) noexcept {
    if (!from.is_on || !to.is_on) return std::nullopt;
    return links_.travel(from.number, to.number, bytes, around_.now);
}

Links::Arrivals Network::travel_as_datagram(const Host& from, const Host& to,
                                            std::size_t bytes) noexcept {
    if (!from.is_on || !to.is_on) return {};
    return links_.travel_as_datagram(from.number, to.number, bytes, around_.now);
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

// --- For tests ----------------------------------------------------------------------------------

std::unique_ptr<Files> Network::new_disk(TimePoint now) const {
    return std::make_unique<Files>(descriptors_, disk_size_bytes_, now);
}

Host& Network::host_of(HostNumber number) const {
    if (number < 0 || static_cast<std::size_t>(number) >= hosts_.size())
        throw std::invalid_argument("the network has no host " + std::to_string(number));
    return *hosts_[static_cast<std::size_t>(number)];
}

/// Everything that can fail comes first, so an error leaves the network as it was. (If the memory
/// ends in the middle, two things may stay. A name without a host has the addresses of no host. A
/// link without a host is used by the next host.)
Network::HostNumber Network::add_host(std::string name, std::span<const Address> addresses) {
    std::vector<Ip> ips;
    for (const Address& address : addresses) {
        ips.push_back(ip_of(address));
        for (const auto& host : hosts_) {
            if (host->has_own(ips.back()))
                throw std::invalid_argument(host->name + " has the address " + address.host());
        }
    }
    const auto number = static_cast<HostNumber>(hosts_.size());
    auto host = std::make_unique<Host>(number, name, ips, new_disk(around_.now));
    hosts_.reserve(hosts_.size() + 1);
    names_.add(std::move(name), std::move(ips));
    links_.add_host();
    hosts_.push_back(std::move(host));
    return number;
}

void Network::add_name(std::string name, HostNumber host) {
    names_.add(std::move(name), host_of(host).addresses);
}

void Network::set_caller(HostNumber (*host_of_caller)() noexcept) noexcept {
    ask_caller_ = host_of_caller;
}

void Network::set_link(HostNumber from, HostNumber to, const SimulatedLink& link) {
    links_.set(host_of(from).number, host_of(to).number, link);
}

void Network::cut(HostNumber from, HostNumber to) {
    links_.cut(host_of(from).number, host_of(to).number, true);
}

void Network::mend(HostNumber from, HostNumber to) {
    links_.cut(host_of(from).number, host_of(to).number, false);
}

std::size_t Network::open_descriptors() const noexcept { return descriptors_.size(); }

void Network::reset_connections(HostNumber one, HostNumber other) {
    const Host& peer = host_of(other);
    host_of(one).sockets.for_each([&](Socket& socket) {
        if (auto* tcp = dynamic_cast<TcpSocket*>(&socket)) tcp->reset_connection_to(peer, around_);
    });
}

/// The sockets are held meanwhile: the end of one may drop another.
void Network::power_off(HostNumber number) {
    Host& host = host_of(number);
    std::vector<ObjectPtr> held;
    host.sockets.for_each([&](Socket& socket) { held.push_back(socket.shared_from_this()); });
    host.is_on = false;
    for (const ObjectPtr& socket : held) static_cast<Socket&>(*socket).lose_power(around_);
}

}  // namespace asyncio::lowlevel::simulated
