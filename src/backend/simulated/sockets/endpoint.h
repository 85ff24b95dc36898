#pragma once
// Addresses of the simulated network as values: where a socket of the internet families is, and how
// an address stands in the structs of the system calls.
//
// An IPv4 address is kept in the form in which IPv6 knows it (::ffff:10.0.0.1, RFC 4291). So both
// families share one type, and a socket of IPv6 that serves IPv4 as well compares addresses without
// a second case.
//
// Thread-safety: values.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sys/socket.h>

namespace asyncio::lowlevel::simulated {

struct Ip {
    std::array<std::uint8_t, 16> bytes{};

    static Ip v4(std::uint32_t number) noexcept;
    /// All addresses of the host: 0.0.0.0 or ::.
    static Ip any(int family) noexcept;
    /// 127.0.0.1 or ::1.
    static Ip loopback(int family) noexcept;

    bool is_v4() const noexcept;
    int family() const noexcept { return is_v4() ? AF_INET : AF_INET6; }
    bool is_any() const noexcept { return *this == any(family()); }
    /// 127.0.0.0/8 or ::1.
    bool is_loopback() const noexcept;
    /// Whether datagrams to this address go to more than one host: broadcast or multicast.
    bool is_for_many() const noexcept;

    auto operator<=>(const Ip&) const noexcept = default;
};

/// Reads "10.0.0.1" or "fe80::1". False if the text is no address.
bool read_ip(std::string_view text, Ip& ip) noexcept;

struct Endpoint {
    Ip ip;
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const noexcept = default;
};

/// An address as the system calls have it. A length of 0 stands for "no address".
struct SocketName {
    sockaddr_storage storage{};
    std::size_t length = 0;

    /// Copies the name out as getsockname(2) does: as much as fits into `room` bytes. Returns the
    /// length of the whole name.
    std::size_t copy_to(void* out, std::size_t room) const noexcept;
};

/// As a socket of `family` shows it.
SocketName name_of(const Endpoint& endpoint, int family) noexcept;

/// Reads the address that a system call was given for a socket of `family`. 0, or −errno.
int read_endpoint(const void* address, std::size_t length, int family, Endpoint& endpoint) noexcept;

}  // namespace asyncio::lowlevel::simulated
