#pragma once
// The questions and the answers of name lookups, as values.
//
// `names.h` has the functions that ask. These types stand apart, because a back-end with names of
// its own (`lowlevel/names.h`) answers with them, and must not know coroutines.

#include <asyncio/address.h>

#include <compare>
#include <string>

namespace asyncio {

/// What kind of addresses `getaddrinfo` looks for. The numbers are those of <sys/socket.h>,
/// <netinet/in.h> and <netdb.h>; zero means any.
/// Python: the arguments of `loop.getaddrinfo` with the same names.
struct AddressHints {
    /// AF_INET or AF_INET6.
    int family = 0;
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_RAW. Zero gives every address once for each of the three.
    int type = 0;
    /// IPPROTO_TCP, for example.
    int proto = 0;
    /// AI_PASSIVE, AI_CANONNAME and others, or-ed together.
    int flags = 0;

    friend auto operator<=>(const AddressHints&, const AddressHints&) = default;
};

/// An address that belongs to a name, with the kind of socket that reaches it.
/// Python: the tuple `(family, type, proto, canonname, sockaddr)`.
struct AddressInfo {
    /// SOCK_STREAM, SOCK_DGRAM or SOCK_RAW.
    int type = 0;
    /// IPPROTO_TCP, for example. May be zero.
    int proto = 0;
    /// The full name of the host. Only in the first element of an answer, and only if the hints
    /// have AI_CANONNAME.
    std::string canonname = {};
    /// Where a connection goes to.
    Address address = {};

    /// AF_INET or AF_INET6.
    int family() const noexcept { return address.family(); }

    friend bool operator==(const AddressInfo&, const AddressInfo&) = default;
};

/// The name that belongs to an address.
/// Python: the pair `(host, port)` that `getnameinfo` returns.
struct NameInfo {
    /// The name, or the number as a text where there is no name.
    std::string host = {};
    /// The name of the service, as "http", or the number as a text.
    std::string service = {};

    friend bool operator==(const NameInfo&, const NameInfo&) = default;
};

}  // namespace asyncio
