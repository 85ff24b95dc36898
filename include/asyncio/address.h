#pragma once
// The address of a socket: where a connection goes to, where it comes from, where a server listens.
//
// Python writes addresses as tuples and strings whose shape depends on the family: a pair for IPv4,
// four values for IPv6, bytes for a Unix socket. C++ would need a variant for that, and each user
// would take it apart. An `Address` is one value for every family instead. It holds exactly the
// bytes that the kernel reads and writes, so it goes into a system call as it is, and an address of
// a family that this class does not know survives the way from one call to another.
//
// What always holds: two addresses that mean the same place have the same bytes. `from_sockaddr`
// therefore clears the bytes that the kernel ignores, and ends a path with exactly one NUL. So a
// comparison compares bytes, and an address may be the key of a map.
//
// An `Address` is numbers. A name of a host is looked up first (`getaddrinfo`). The class is
// trivially copyable and trivially destructible: it may stand in a struct of options, and in a
// temporary within a `co_await` expression. The price is a fixed size of 136 bytes, which is the
// largest address that a kernel may use. A pointer to bytes elsewhere would be smaller, but then
// each copy would allocate.
//
// The header includes nothing of the system. `struct sockaddr` is only declared, and `socklen_t` is
// a 32-bit number on every Linux.
//
// Thread-safety: a plain value, like an int.

#include <asyncio/internal/base/lifetime.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace asyncio {

/// The address of a socket: of IPv4, of IPv6, of a Unix socket, or the raw bytes of any other
/// family. Without a value it is "empty", which is no address at all.
/// Python: the tuples and strings that `socket` calls addresses.
class Address {
public:
    /// The largest number of bytes of any address, `sizeof(sockaddr_storage)`.
    static constexpr std::uint32_t capacity = 128;

    /// No address.
    constexpr Address() noexcept = default;

    /// The address of the numeric `host`, as "192.0.2.1", "::1" or "fe80::1%eth0", with `port`.
    ///
    /// The scope behind the percent sign is the name of a network interface, or its number. Names
    /// of hosts are not looked up, and short forms as "127.1" are refused.
    /// Throws: `std::invalid_argument` that quotes `host`, if it is not such an address, or if the
    /// interface does not exist.
    /// Cost: no system call; a scope that is a name costs a few short ones.
    static Address ip(std::string_view host, std::uint16_t port);

    /// The same, with an empty result for a text that is not a numeric address.
    static std::optional<Address> try_ip(std::string_view host, std::uint16_t port) noexcept;

    /// Every interface of this machine: 0.0.0.0. A server listens there.
    static Address any_v4(std::uint16_t port) noexcept;
    /// Every interface of this machine: "::".
    static Address any_v6(std::uint16_t port) noexcept;
    /// This machine itself: 127.0.0.1.
    static Address loopback_v4(std::uint16_t port) noexcept;
    /// This machine itself: "::1".
    static Address loopback_v6(std::uint16_t port) noexcept;

    /// The address of a Unix socket.
    ///
    /// A `path` that begins with a NUL is an abstract name, which no file stands for; every byte
    /// behind the NUL belongs to the name. The empty path is the unnamed socket; a `bind` to it
    /// lets the kernel choose an abstract name.
    /// Throws: `std::invalid_argument` if the path is longer than 107 bytes (an abstract name, with
    /// its NUL: 108), or has a NUL in its middle.
    static Address local(std::string_view path);

    /// The address in the memory of a system call. `size` is the number of bytes that the kernel
    /// has filled in; zero means that there is no address.
    /// Throws: `std::invalid_argument` if `size` is larger than `capacity`, or too small for the
    /// family.
    static Address from_sockaddr(const sockaddr* address, std::uint32_t size);

    /// Whether there is no address at all. The unnamed Unix socket is an address.
    bool is_empty() const noexcept { return size_ == 0; }
    /// AF_INET, AF_INET6, AF_UNIX or another number of <sys/socket.h>; AF_UNSPEC, which is 0, for
    /// an empty address.
    int family() const noexcept;
    bool is_ipv4() const noexcept;
    bool is_ipv6() const noexcept;
    bool is_ip() const noexcept { return is_ipv4() || is_ipv6(); }
    /// Whether this is the address of a Unix socket.
    bool is_local() const noexcept;

    /// The number of the host as a text, with the scope of an IPv6 address: "fe80::1%eth0". Empty
    /// for any other family.
    std::string host() const;
    /// Zero for a family without ports.
    std::uint16_t port() const noexcept;
    /// The same address with another port.
    /// Throws: `std::invalid_argument` if the family is neither IPv4 nor IPv6.
    Address with_port(std::uint16_t port) const;
    /// The number of the network interface that an IPv6 address belongs to. Zero for none.
    std::uint32_t scope_id() const noexcept;
    /// The flow label of an IPv6 address, with the traffic class, in the byte order of the machine.
    std::uint32_t flow_info() const noexcept;
    /// The same IPv6 address with another flow label.
    /// Throws: `std::invalid_argument` if this is not an IPv6 address.
    Address with_flow_info(std::uint32_t flow_info) const;
    /// The path of a Unix socket; an abstract name begins with a NUL. Empty for the unnamed socket
    /// and for any other family. The text lies in this object.
    std::string_view path() const noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND;

    /// The address for a human reader: "127.0.0.1:80", "[::1%lo]:80", "/run/x.sock", "@abstract",
    /// "unnamed Unix socket", "no address". A byte of a path that cannot be printed is written as
    /// "\x0a".
    std::string to_string() const;

    /// The bytes for a system call, `size()` of them. Never a null pointer.
    const sockaddr* data() const noexcept ASYNCIO_INTERNAL_LIFETIMEBOUND {
        return reinterpret_cast<const sockaddr*>(bytes_);
    }
    /// The number of bytes; zero for an empty address.
    std::uint32_t size() const noexcept { return size_; }

    /// Whether both are the same place: family, host, port, scope, flow label, path.
    friend bool operator==(const Address& left, const Address& right) noexcept {
        return left.compare(right) == std::strong_ordering::equal;
    }
    /// Orders by family, then by host, then by port.
    friend std::strong_ordering operator<=>(const Address& left, const Address& right) noexcept {
        return left.compare(right);
    }

private:
    friend struct std::hash<Address>;

    std::strong_ordering compare(const Address& other) const noexcept;

    /// A sockaddr of the family. The bytes from `size_` on are zero.
    alignas(8) std::byte bytes_[capacity] = {};
    std::uint32_t size_ = 0;
};

}  // namespace asyncio

/// Lets an `Address` be the key of an unordered map.
template <>
struct std::hash<asyncio::Address> {
    std::size_t operator()(const asyncio::Address& address) const noexcept;
};
