#pragma once
// The ports of one host and one protocol: which sockets are bound where, and which of them an
// arrival is for.
//
// The rules are those of Linux (inet_csk_bind_conflict in net/ipv4/inet_connection_sock.c). Two
// sockets conflict on a port if their addresses overlap, unless both have SO_REUSEPORT, or both
// have SO_REUSEADDR and the older one does not listen (TCP). So a server without SO_REUSEADDR
// cannot bind while a connection of its predecessor is left, and a server with it can.
//
// Thread-safety: none. A table belongs to one host.

#include "backend/simulated/sockets/endpoint.h"

#include <cstdint>
#include <map>
#include <vector>

namespace asyncio::lowlevel::simulated {

class InetSocket;

class Ports {
public:
    /// Whether `socket` may have `wanted` as its local address.
    bool is_free_for(const InetSocket& socket, const Endpoint& wanted) const noexcept;

    /// The next port of the range that programs get without asking; 0 if all are used.
    std::uint16_t unused_port() noexcept;

    /// The socket is bound to its local address from now on. Throws: `std::bad_alloc`.
    void add(InetSocket& socket);
    /// As `add`, undone. Allowed for a socket that is not there.
    void remove(InetSocket& socket) noexcept;

    /// The listener for a connection; null if there is none.
    InetSocket* listener_for(const Endpoint& to, const Endpoint& from) const noexcept;

    /// The socket that a datagram is for; null if there is none.
    InetSocket* receiver_of(const Endpoint& to, const Endpoint& from) const noexcept;

private:
    template <class Score>
    InetSocket* best(const Endpoint& to, const Endpoint& from, Score score) const noexcept;

    /// In the order in which they were bound.
    std::map<std::uint16_t, std::vector<InetSocket*>> bound_;
    std::uint16_t next_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
