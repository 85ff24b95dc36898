// The ends of a connection, one by one.
//
//   close(writing)   shutdown(SHUT_WR): the peer reads the end of the stream behind the last byte
//   close(reading)   nothing that the peer would see; bytes that come are not read any more
//   close(both), or the second of the two: close(2)
//
// An error of the shutdown is no news. The peer has closed or reset the connection before, and the
// next read says so.

#include "streams/socket_channel.h"

#include "streams/socket_facts.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/socket.h>

namespace asyncio::internal {

using lowlevel::Operation;
using lowlevel::OperationKind;
using Submitted = lowlevel::Channel::Submitted;

namespace {

Submitted finished(Operation& operation, int result) noexcept {
    operation.result = result;
    operation.state = Operation::State::finished;
    return Submitted::finished;
}

}  // namespace

SocketChannel::SocketChannel(lowlevel::LoopFd socket, const Address& peer, bool is_tcp) noexcept
    : socket_(std::move(socket)), is_tcp_(is_tcp) {
    if (!peer.is_ip()) return;
    peer_size_ = static_cast<std::uint8_t>(peer.size());
    std::memcpy(peer_.data(), peer.data(), peer_size_);
}

std::string SocketChannel::name() const {
    const Address to = peer();
    const bool has_name = !to.is_empty() && !(to.is_local() && to.path().empty());
    return has_name ? "the connection to " + to.to_string() : "a connection";
}

Submitted SocketChannel::submit(Operation& operation) noexcept {
    const bool reads = operation.kind == OperationKind::read;
    if (reads ? reading_closed_ : writing_closed_) return finished(operation, reads ? 0 : -EPIPE);
    address(operation, reads ? OperationKind::recv : OperationKind::send);
    operation.flags = 0;
    return socket_.loop()->submit(operation);
}

/// The operation ends within `submit`, so it may lie here, and its bytes where they are.
int SocketChannel::write_now(std::string_view bytes) noexcept {
    if (writing_closed_) return -EPIPE;
    Operation operation;
    address(operation, OperationKind::send);
    operation.flags = MSG_DONTWAIT;
    operation.buffer = const_cast<char*>(bytes.data());
    operation.size = bytes.size();
    socket_.loop()->submit(operation);
    return operation.result;
}

/// Says what is to be done, and with which socket.
void SocketChannel::address(Operation& operation, OperationKind kind) const noexcept {
    operation.kind = kind;
    operation.fd = socket_.get();
    operation.blocking = is_tcp_ ? lowlevel::Blocking::owned_tcp : lowlevel::Blocking::owned;
}

Submitted SocketChannel::close(Side side, Operation& operation) noexcept {
    if (side != Side::writing) reading_closed_ = true;
    if (side != Side::reading) writing_closed_ = true;
    if (!socket_) return finished(operation, 0);
    if (reading_closed_ && writing_closed_) return close_socket(operation);
    if (side == Side::reading) return finished(operation, 0);
    shut_down_socket(SHUT_WR);
    return finished(operation, 0);
}

/// The kernel tells a reset once, to the call that comes first, and every later read looks as at
/// the end. EPIPE is none of these errors: the peer had ended its direction before.
void SocketChannel::note_write_error(int error) noexcept {
    switch (error) {
        case ECONNRESET:
        case ETIMEDOUT:
        case EHOSTUNREACH:
        case ENETUNREACH: broken_by_ = static_cast<std::uint8_t>(error); break;
        default: break;
    }
}

/// The kernel wakes what is in flight. Later reads and writes are answered here, because bytes that
/// arrive after a shutdown(SHUT_RD) can still be read from it.
void SocketChannel::shut_down(Side side) noexcept {
    reading_closed_ = true;
    if (side == Side::both) writing_closed_ = true;
    if (socket_) shut_down_socket(side == Side::both ? SHUT_RDWR : SHUT_RD);
}

Submitted SocketChannel::close_socket(Operation& operation) noexcept {
    operation.kind = OperationKind::close;
    operation.fd = socket_.release();
    return socket_.loop()->submit(operation);
}

/// A shutdown finishes within `submit` (rule 11 of the back-end's contract).
void SocketChannel::shut_down_socket(int how) noexcept {
    Operation operation;
    operation.kind = OperationKind::shutdown;
    operation.fd = socket_.get();
    operation.flags = how;
    socket_.loop()->submit(operation);
}

/// After the close there is no loop to ask: it may be gone.
Address SocketChannel::peer() const {
    if (peer_size_ != 0)
        return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(peer_.data()), peer_size_);
    return socket_ ? peer_address_of(*socket_.loop(), socket_.get()) : Address();
}

Address SocketChannel::local() const {
    return socket_ ? local_address_of(*socket_.loop(), socket_.get()) : Address();
}

}  // namespace asyncio::internal
