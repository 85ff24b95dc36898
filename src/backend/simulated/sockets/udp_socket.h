#pragma once
// A UDP socket in memory.
//
// A datagram is gone from its sender as soon as it is sent: UDP never waits for room, and a
// receiver whose buffer is full loses what comes. A connected socket hears later that no socket is
// bound where its datagram went (ECONNREFUSED, as ICMP tells it). The rules are Linux's
// (net/ipv4/udp.c).
//
// Left out: broadcast and multicast.
//
// Thread-safety: none. A socket belongs to one world.

#include "backend/simulated/sockets/datagram_queue.h"
#include "backend/simulated/sockets/inet_socket.h"

namespace asyncio::lowlevel::simulated {

class UdpSocket final : public InetSocket {
public:
    UdpSocket(Host& host, int family) noexcept : InetSocket(host, family, SOCK_DGRAM) {}

    void close(int side, Surroundings& around) noexcept override;
    void lose_power(Surroundings& around) noexcept override;

    /// A datagram has come. It is dropped if there is no room for it.
    void take(const Endpoint& from, ByteQueue bytes, Surroundings& around) noexcept;
    /// A datagram of this socket has come back: there is no socket at its destination.
    void destination_refuses(Surroundings& around) noexcept;

private:
    int events(int side) const noexcept override;
    int can_connect(const Operation&) const noexcept override { return 0; }
    int can_receive(const Transfer& transfer) const noexcept override;
    int can_send(const Transfer&) const noexcept override { return 0; }
    int connect(const Operation& operation, Surroundings& around) override;
    int receive(const Transfer& transfer, Surroundings& around) override;
    int send(const Transfer& transfer, Surroundings& around) override;
    int shutdown(int how, Surroundings& around) override;
    int peer_address(Address& address) const noexcept override;

    int destination_of(const Transfer& transfer, Endpoint& destination) const noexcept;
    std::size_t largest_datagram(const Ip& to) const noexcept;

    DatagramQueue queue_;
};

}  // namespace asyncio::lowlevel::simulated
