#pragma once
// Where a socket of the internet families is.
//
// An `Address` is what the system calls read and write. An `Endpoint` is what it means.
//
// An IPv4 address is kept in the form in which IPv6 knows it (::ffff:10.0.0.1, RFC 4291). So both
// families share one type, and a socket of IPv6 that serves IPv4 as well compares addresses without
// a second case.
//
// Thread-safety: values.

#include <asyncio/address.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

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

struct Endpoint {
    Ip ip;
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const noexcept = default;
};

/// The address as a socket of `family` shows it.
Address address_of(const Endpoint& endpoint, int family) noexcept;

/// Copies an address out as getsockname(2) does: as much as fits into `room` bytes. Returns the
/// length of the whole address.
std::size_t copy_out(const Address& address, void* out, std::size_t room) noexcept;

/// Reads the address that a system call was given for a socket of `family`. 0, or −errno.
int read_endpoint(const void* address, std::size_t length, int family, Endpoint& endpoint) noexcept;

}  // namespace asyncio::lowlevel::simulated
