#pragma once
// A socket with an address and a port: what TCP and UDP have in common.
//
// Thread-safety: none. A socket belongs to one world.

#include "backend/simulated/sockets/endpoint.h"
#include "backend/simulated/sockets/ports.h"
#include "backend/simulated/sockets/socket.h"

#include <cstddef>

namespace asyncio::lowlevel::simulated {

class InetSocket : public Socket {
public:
    InetSocket(Host& host, int family, int type) noexcept;
    ~InetSocket() override { leave_port(); }

    /// The port is 0 while the socket is not bound.
    const Endpoint& local() const noexcept { return local_; }
    /// The port is 0 while the socket has no peer.
    const Endpoint& peer() const noexcept { return peer_; }

    bool is_v6_only() const noexcept;
    bool reuses_address() const noexcept { return option(SOL_SOCKET, SO_REUSEADDR) != 0; }
    bool reuses_port() const noexcept { return option(SOL_SOCKET, SO_REUSEPORT) != 0; }
    /// Whether the local address covers `ip`.
    bool takes(const Ip& ip) const noexcept;

protected:
    int bind(const Operation& operation, Surroundings& around) final;
    Address local_address() const noexcept final { return address_of(local_, family()); }
    int can_set(int level, int name) const noexcept override;

    bool is_bound() const noexcept { return local_.port != 0; }
    /// Takes an unused port. 0, or −errno. Throws: `std::bad_alloc`.
    int bind_to_unused_port();
    /// Takes the address of another socket, which is bound there: for a socket of a listener.
    /// Throws: `std::bad_alloc`.
    void share_port(const Endpoint& at) { take_port(at); }
    void leave_port() noexcept;
    /// Gives back the address and the port, as far as bind(2) was not told to take them.
    void leave_chosen_address() noexcept;

    /// Reads the address of a peer. 0, or −errno.
    int read_peer(const void* address, std::size_t length, Endpoint& peer) const noexcept;
    /// The local address from which `peer` is reached. 0, or −errno.
    int choose_source(const Endpoint& peer, const Surroundings& around, Ip& source) const noexcept;

    Ports& ports() const noexcept { return ports_; }

    Endpoint local_;
    Endpoint peer_;

private:
    void take_port(const Endpoint& wanted);

    /// What bind(2) has fixed (SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK). The rest was chosen.
    bool binds_ip_ = false;
    bool binds_port_ = false;
    Ports& ports_;
};

}  // namespace asyncio::lowlevel::simulated
