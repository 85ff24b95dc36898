#pragma once
// A Unix datagram socket in memory.
//
// Unlike UDP nothing is lost: a sender waits while more than ten datagrams are unread at the
// receiver (net.unix.max_dgram_qlen), so eleven get in. Two sockets that are connected to each
// other may have more on their way, and so may a socket that sends to itself; there the buffer of
// the sender is the limit. A socket can be connected to another one, and then has this destination.
// The other one, when it is connected elsewhere, takes nothing from it.
//
// Thread-safety: none. A socket belongs to one world.

#include "backend/simulated/sockets/datagram_queue.h"
#include "backend/simulated/sockets/unix_socket.h"

#include <memory>

namespace asyncio::lowlevel::simulated {

class UnixDatagram final : public UnixSocket {
public:
    explicit UnixDatagram(Host& host) noexcept : UnixSocket(host, SOCK_DGRAM) {}

    void close(int side, Surroundings& around) noexcept override;
    void lose_power(Surroundings& around) noexcept override;
    void surrender(Passengers& all) override { queue_.surrender(all); }

private:
    int events(int side) const noexcept override;
    int can_connect(const Operation&) const noexcept override { return 0; }
    int can_receive(const Transfer& transfer) const noexcept override;
    int can_send(const Transfer& transfer) const noexcept override;
    int connect(const Operation& operation, Surroundings& around) override;
    int receive(const Transfer& transfer, Surroundings& around) override;
    int send(const Transfer& transfer, Surroundings& around) override;
    int shutdown(int how, Surroundings& around) override;
    int peer_address(Address& address) const noexcept override;

    using Destination = std::shared_ptr<UnixDatagram>;
    int destination_of(const Transfer& transfer, Destination& destination) const;
    bool takes_from(const UnixDatagram& sender) const noexcept;
    /// Whether `sender` has to wait before it sends here.
    bool is_full_for(const UnixDatagram& sender) const noexcept;
    bool is_writable() const noexcept;
    void lose_peer(Surroundings& around) noexcept;
    void wake_senders(Surroundings& around) const noexcept;

    DatagramQueue queue_;
    /// Expired when the peer is gone. A send finds this out and says so, once.
    std::weak_ptr<UnixDatagram> peer_;
    bool is_connected_ = false;
    bool is_closed_ = false;
};

}  // namespace asyncio::lowlevel::simulated
