// Sending and receiving datagrams.
//
// The order of the errors is that of udp_sendmsg: the address, the length, an error that waits to
// be reported, the shutdown, the route. A send takes a port before all this (inet_send_prepare), so
// a socket has one after a send that fails.

#include "backend/simulated/sockets/udp_socket.h"

#include "backend/simulated/deliveries.h"
#include "backend/simulated/network.h"

#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include <netinet/in.h>
#include <poll.h>

namespace asyncio::lowlevel::simulated {

namespace {

/// 65535 bytes of IP, less the headers. An IPv6 packet does not count its own header.
constexpr std::size_t largest_over_v4 = 65'507;
constexpr std::size_t largest_over_v6 = 65'527;

/// A datagram on its way, or on its way back because no socket took it.
class DatagramParcel final : public Parcel {
public:
    DatagramParcel(Host& from_host, Host& to_host, const Endpoint& from, const Endpoint& to)
        : from_host_(from_host), to_host_(to_host), from_(from), to_(to) {}

    ByteQueue bytes;

    void arrive(Post self, Surroundings& around) noexcept override {
        if (comes_back_) {
            auto* sender = static_cast<UdpSocket*>(from_host_.udp.receiver_of(from_, to_));
            // The news is for connected sockets only: another one would not know to which of its
            // datagrams the error belongs.
            if (sender != nullptr && sender->peer() == to_) sender->destination_refuses(around);
            return;
        }
        if (!to_host_.is_on) return;
        auto* receiver = static_cast<UdpSocket*>(to_host_.udp.receiver_of(to_, from_));
        if (receiver != nullptr) return receiver->take(from_, std::move(bytes), around);
        comes_back_ = true;
        const auto time = around.network.travel(to_host_, from_host_, 0);
        if (time) around.deliveries.send(std::move(self), around.after(*time));
    }

private:
    Host& from_host_;
    Host& to_host_;
    Endpoint from_;
    Endpoint to_;
    bool comes_back_ = false;
};

}  // namespace

/// As datagram_poll. There is always room for a send.
int UdpSocket::events(int) const noexcept {
    int events = POLLOUT | POLLWRNORM | POLLWRBAND;
    if (error_ != 0) events |= POLLERR;
    if (shut_reading_) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (shut_reading_ && shut_writing_) events |= POLLHUP;
    if (!queue_.empty()) events |= POLLIN | POLLRDNORM;
    return events;
}

/// A connect sends nothing. It chooses the peer and the local address, and may be repeated.
/// AF_UNSPEC undoes it, and gives back what was chosen.
int UdpSocket::connect(const Operation& operation, Surroundings& around) {
    const auto* address = static_cast<const sockaddr*>(operation.buffer);
    if (operation.size >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC) {
        peer_ = {Ip::any(family()), 0};
        leave_chosen_address();
        return 0;
    }
    Endpoint peer;
    Ip source;
    if (const int error = read_peer(operation.buffer, operation.size, peer); error != 0)
        return error;
    if (peer.ip.is_for_many()) return -ENETUNREACH;
    if (const int error = choose_source(peer, around, source); error != 0) return error;
    if (!is_bound()) {
        if (const int error = bind_to_unused_port(); error != 0) return error;
    }
    local_.ip = source;
    peer_ = peer;
    return 0;
}

int UdpSocket::can_receive(const Transfer& transfer) const noexcept {
    if ((transfer.flags & MSG_OOB) != 0) return -EOPNOTSUPP;
    if ((transfer.flags & MSG_ERRQUEUE) != 0) return would_block;
    return error_ != 0 || !queue_.empty() ? 0 : would_block;
}

int UdpSocket::receive(const Transfer& transfer, Surroundings& around) {
    return error_ != 0 ? take_error() : queue_.receive(transfer, around);
}

/// A socket that is connected may still send to another address.
int UdpSocket::destination_of(const Transfer& transfer, Endpoint& destination) const noexcept {
    const msghdr* header = transfer.header;
    if (header == nullptr || header->msg_name == nullptr) {
        destination = peer_;
        return peer_.port != 0 ? 0 : -EDESTADDRREQ;
    }
    const int error = read_peer(header->msg_name, header->msg_namelen, destination);
    if (error != 0) return error;
    return destination.port != 0 ? 0 : -EINVAL;
}

std::size_t UdpSocket::largest_datagram(const Ip& to) const noexcept {
    return to.is_v4() ? largest_over_v4 : largest_over_v6;
}

/// The datagram is on its way when this returns. Whether it arrives is a matter of the link and of
/// the receiver's buffer.
int UdpSocket::send(const Transfer& transfer, Surroundings& around) {
    if (!is_bound()) {
        if (const int error = bind_to_unused_port(); error != 0) return error;
    }
    if ((transfer.flags & MSG_OOB) != 0) return -EOPNOTSUPP;
    Endpoint to;
    Ip source;
    if (const int error = destination_of(transfer, to); error != 0) return error;
    if (transfer.size > largest_datagram(to.ip)) return -EMSGSIZE;
    if (error_ != 0) return take_error();
    if (shut_writing_) return -EPIPE;
    if (to.ip.is_for_many()) return -ENETUNREACH;
    if (const int error = choose_source(to, around, source); error != 0) return error;
    Host& to_host = *around.network.host_at(host(), to.ip);
    const Endpoint from{source, local_.port};
    // Both copies are made first: without memory for the second, nothing is sent.
    std::array<Post, 2> copies;
    const Links::Arrivals arrivals =
        around.network.travel_as_datagram(host(), to_host, transfer.size);
    for (std::size_t i = 0; i < arrivals.count; ++i) {
        copies[i] = post<DatagramParcel>(host(), to_host, from, to);
        transfer.collect(transfer.size, static_cast<DatagramParcel&>(*copies[i].mapped()).bytes);
    }
    for (std::size_t i = 0; i < arrivals.count; ++i)
        around.deliveries.send(std::move(copies[i]), arrivals.times[i]);
    return static_cast<int>(transfer.size);
}

/// A receiver that does not keep up loses datagrams, and gets no error.
void UdpSocket::take(const Endpoint& from, ByteQueue bytes, Surroundings& around) noexcept {
    // One datagram always fits, as in the kernel.
    if (!queue_.empty() && queue_.size_bytes() + bytes.size() > buffer_bytes(SO_RCVBUF)) return;
    try {
        queue_.push({address_of(from, family()), std::move(bytes), {}});
    } catch (const std::bad_alloc&) {
        return;
    }
    around.changes.add(*this);
}

/// The message of ICMP has come back. A connected socket tells it with the next call.
void UdpSocket::destination_refuses(Surroundings& around) noexcept {
    error_ = ECONNREFUSED;
    around.changes.add(*this);
}

/// As inet_shutdown: without a peer it answers an error, and has its effect all the same.
int UdpSocket::shutdown(int how, Surroundings& around) {
    if (how != SHUT_WR) shut_reading_ = true;
    if (how != SHUT_RD) shut_writing_ = true;
    around.changes.add(*this);
    return peer_.port != 0 ? 0 : -ENOTCONN;
}

int UdpSocket::peer_address(Address& address) const noexcept {
    if (peer_.port == 0) return -ENOTCONN;
    address = address_of(peer_, family());
    return 0;
}

void UdpSocket::lose_power(Surroundings& around) noexcept {
    Socket::lose_power(around);
    leave_port();
}

void UdpSocket::close(int, Surroundings&) noexcept { leave_port(); }

}  // namespace asyncio::lowlevel::simulated
