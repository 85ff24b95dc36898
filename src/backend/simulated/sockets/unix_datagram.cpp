// Destinations, and the wait for room at them.

#include "backend/simulated/sockets/unix_datagram.h"

#include "backend/simulated/network.h"

#include <cerrno>
#include <new>
#include <utility>

#include <poll.h>

namespace asyncio::lowlevel::simulated {

namespace {

/// net.unix.max_dgram_qlen; the queue is full when it holds more.
constexpr std::size_t longest_datagram_queue = 10;
/// What the kernel keeps of a sender's buffer for itself.
constexpr std::size_t reserve_bytes = 32;

bool names_destination(const Transfer& transfer) noexcept {
    const msghdr* header = transfer.header;
    return header != nullptr && header->msg_name != nullptr && header->msg_namelen > 0;
}

}  // namespace

/// As unix_dgram_poll.
int UnixDatagram::events(int) const noexcept {
    int events = 0;
    if (error_ != 0) events |= POLLERR;
    if (shut_reading_) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (shut_reading_ && shut_writing_) events |= POLLHUP;
    if (!queue_.empty()) events |= POLLIN | POLLRDNORM;
    if (is_writable()) events |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return events;
}

/// As unix_dgram_sendmsg. The short queue is no limit for a peer, nor for a socket that sends to
/// itself: it would wait for its own receive.
bool UnixDatagram::is_full_for(const UnixDatagram& sender) const noexcept {
    const bool is_peer = is_connected_ && peer_.lock().get() == &sender;
    if (is_peer || this == &sender) return queue_.size_bytes() > sender.buffer_bytes(SO_SNDBUF);
    return queue_.count() > longest_datagram_queue;
}

/// As unix_writable: while three quarters of the buffer are free.
bool UnixDatagram::is_writable() const noexcept {
    const Destination peer = peer_.lock();
    if (peer == nullptr) return true;
    if (peer->is_connected_ && peer->peer_.lock().get() == this)
        return 4 * peer->queue_.size_bytes() <= buffer_bytes(SO_SNDBUF);
    return !peer->is_full_for(*this);
}

bool UnixDatagram::takes_from(const UnixDatagram& sender) const noexcept {
    const Destination peer = peer_.lock();
    return !is_connected_ || peer.get() == &sender;
}

/// A connect to a socket that is connected elsewhere is refused (unix_may_send). AF_UNSPEC undoes a
/// connect.
int UnixDatagram::connect(const Operation& operation, Surroundings& around) {
    const auto* address = static_cast<const sockaddr*>(operation.buffer);
    Destination peer;
    if (operation.size < sizeof(sa_family_t) || address->sa_family != AF_UNSPEC) {
        UnixSocket* found = nullptr;
        if (const int error = find_peer(operation.buffer, operation.size, found); error != 0)
            return error;
        peer = std::static_pointer_cast<UnixDatagram>(found->shared_from_this());
        if (!peer->takes_from(*this)) return -EPERM;
    }
    is_connected_ = peer != nullptr;
    peer_ = peer;
    around.changes.add(*this);
    return 0;
}

int UnixDatagram::can_receive(const Transfer& transfer) const noexcept {
    if ((transfer.flags & MSG_OOB) != 0) return -EOPNOTSUPP;
    return error_ != 0 || !queue_.empty() ? 0 : would_block;
}

int UnixDatagram::receive(const Transfer& transfer, Surroundings& around) {
    if (error_ != 0) return take_error();
    const int result = queue_.receive(transfer, around);
    if (queue_.empty()) note_no_passengers();
    wake_senders(around);
    return result;
}

/// The senders that wait are known to nobody but themselves, so all of the host are tried.
void UnixDatagram::wake_senders(Surroundings& around) const noexcept {
    host().sockets.for_each([&](Socket& socket) {
        if (!socket.waiting.empty()) around.changes.add(socket);
    });
}

/// The address in the message, or else the peer.
int UnixDatagram::destination_of(const Transfer& transfer, Destination& destination) const {
    if (!names_destination(transfer)) {
        destination = peer_.lock();
        if (!is_connected_) return -ENOTCONN;
        const bool is_there = destination != nullptr && !destination->is_closed_;
        return is_there ? 0 : -ECONNREFUSED;
    }
    UnixSocket* found = nullptr;
    const int error = find_peer(transfer.header->msg_name, transfer.header->msg_namelen, found);
    if (error == 0) destination = std::static_pointer_cast<UnixDatagram>(found->shared_from_this());
    return error;
}

/// Everything but the wait for room is decided when the send is carried out.
int UnixDatagram::can_send(const Transfer& transfer) const noexcept {
    try {
        Destination destination;
        if (destination_of(transfer, destination) != 0) return 0;
        const bool waits =
            destination->is_full_for(*this) && !destination->shut_reading_ && !shut_writing_;
        return waits ? would_block : 0;
    } catch (const std::bad_alloc&) {
        return 0;
    }
}

/// Nothing has happened before the push, which is the last step that can fail.
int UnixDatagram::send(const Transfer& transfer, Surroundings& around) {
    if ((transfer.flags & MSG_OOB) != 0) return -EOPNOTSUPP;
    if (shut_writing_) return -EPIPE;
    Destination destination;
    if (const int error = destination_of(transfer, destination); error != 0) {
        if (!names_destination(transfer)) lose_peer(around);
        return error;
    }
    if (transfer.size + reserve_bytes > buffer_bytes(SO_SNDBUF)) return -EMSGSIZE;
    if (!destination->takes_from(*this)) return -EPERM;
    if (destination->shut_reading_) return -EPIPE;
    Datagram datagram;
    if (!name_.empty()) datagram.from = address_of_name(name_);
    if (const int error = board_all(transfer, datagram.passengers, around); error != 0)
        return error;
    transfer.collect(transfer.size, datagram.bytes);
    const int depth = depth_of(datagram.passengers);
    destination->queue_.push(std::move(datagram));
    destination->note_depth(depth);
    around.changes.add(*destination);
    return static_cast<int>(transfer.size);
}

/// The peer is gone: the socket has none from now on. What it has received is lost, as in Linux
/// (unix_dgram_disconnected).
void UnixDatagram::lose_peer(Surroundings& around) noexcept {
    if (!std::exchange(is_connected_, false)) return;
    queue_.dismiss_all(around);
    note_no_passengers();
    wake_senders(around);
}

int UnixDatagram::shutdown(int how, Surroundings& around) {
    if (how != SHUT_WR) shut_reading_ = true;
    if (how != SHUT_RD) shut_writing_ = true;
    around.changes.add(*this);
    wake_senders(around);
    return 0;
}

int UnixDatagram::peer_address(Address& address) const noexcept {
    if (!is_connected_) return -ENOTCONN;
    const Destination peer = peer_.lock();
    address = address_of_name(peer == nullptr ? std::string() : peer->name_);
    return 0;
}

/// The peer has lost its power, too. A path stays, as the other files on the disk of the host.
void UnixDatagram::lose_power(Surroundings& around) noexcept {
    Socket::lose_power(around);
    close(0, around);
}

void UnixDatagram::close(int, Surroundings& around) noexcept {
    is_closed_ = true;
    leave_name();
    name_.clear();
    queue_.dismiss_all(around);
    wake_senders(around);
}

}  // namespace asyncio::lowlevel::simulated
