// Addresses in the layouts of the system calls.
//
// Inside the world an address is a number of 16 bytes and a port, whatever the family. Programs see
// the layouts of the kernel, with their families and lengths. All translation is here, so the rest
// of the network compares and stores one kind of value.

#include "backend/simulated/sockets/endpoint.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>

namespace asyncio::lowlevel::simulated {

namespace {

constexpr std::size_t v4_place = 12;
constexpr std::array<std::uint8_t, v4_place> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
/// RFC 2133: the address without the number of an interface, which old programs give.
constexpr std::size_t shortest_v6_length = 24;

/// An address of IPv4 is kept as the address of IPv6 that stands for it (RFC 4291, 2.5.5.2), so
/// that a socket of IPv6 can talk to both and two addresses are compared in one way.
Ip from_v4_bytes(const void* four_bytes) noexcept {
    Ip ip;
    std::copy(v4_prefix.begin(), v4_prefix.end(), ip.bytes.begin());
    std::memcpy(ip.bytes.data() + v4_place, four_bytes, 4);
    return ip;
}

}  // namespace

Ip Ip::v4(std::uint32_t number) noexcept {
    const std::uint32_t ordered = htonl(number);
    return from_v4_bytes(&ordered);
}

Ip Ip::any(int family) noexcept { return family == AF_INET ? v4(INADDR_ANY) : Ip{}; }

Ip Ip::loopback(int family) noexcept {
    if (family == AF_INET) return v4(INADDR_LOOPBACK);
    Ip ip;
    ip.bytes.back() = 1;
    return ip;
}

bool Ip::is_v4() const noexcept {
    return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes.begin());
}

bool Ip::is_loopback() const noexcept {
    return is_v4() ? bytes[v4_place] == 127 : *this == loopback(AF_INET6);
}

/// 224.0.0.0/4, 255.255.255.255 and ff00::/8. The broadcast address of a subnet is not known here,
/// because addresses of the simulated network have no masks.
bool Ip::is_for_many() const noexcept {
    if (!is_v4()) return bytes[0] == 0xff;
    return (bytes[v4_place] & 0xf0) == 0xe0 || *this == v4(INADDR_BROADCAST);
}

/// The family is that of the socket and not of the address: a socket of IPv6 sees a peer of IPv4 as
/// the address of IPv6 that stands for it.
Address address_of(const Endpoint& endpoint, int family) noexcept {
    if (family == AF_INET) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, endpoint.ip.bytes.data() + v4_place, sizeof v4.sin_addr);
        return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.ip.bytes.data(), sizeof v6.sin6_addr);
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

/// As the kernel: what fits is copied, and the whole length is told, so that the caller can see
/// that something is missing.
std::size_t copy_out(const Address& address, void* out, std::size_t room) noexcept {
    if (out != nullptr)
        std::memcpy(out, address.data(), std::min<std::size_t>(room, address.size()));
    return address.size();
}

/// The scope of an IPv6 address (the number of an interface) has no meaning here: each host has one
/// interface.
int read_endpoint(const void* address, std::size_t length, int family,
                  Endpoint& endpoint) noexcept {
    const std::size_t needed = family == AF_INET ? sizeof(sockaddr_in) : shortest_v6_length;
    if (address == nullptr || length < needed) return -EINVAL;
    sockaddr_storage storage{};
    std::memcpy(&storage, address, std::min(length, sizeof storage));
    if (storage.ss_family != family) return -EAFNOSUPPORT;
    if (family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
        endpoint = {from_v4_bytes(&v4.sin_addr), ntohs(v4.sin_port)};
    } else {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
        std::memcpy(endpoint.ip.bytes.data(), &v6.sin6_addr, endpoint.ip.bytes.size());
        endpoint.port = ntohs(v6.sin6_port);
    }
    return 0;
}

}  // namespace asyncio::lowlevel::simulated
