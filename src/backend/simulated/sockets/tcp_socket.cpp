// The states of a TCP socket, and what each of them answers.
//
//     fresh ──► listening ──► fresh                  listen; shutdown
//       │
//       └────► connecting ──► connected              connect; the handshake
//       ▲          └────────► failed                 refused, or no answer
//       └───────────────────────┘                    the connect has told its caller
//
// Every state leads to `closed`. A connection that has ended leaves the socket in `connected`: its
// bytes can still be read. `is_over` tells that it has ended, by an error or by FIN in both
// directions, and corresponds to TCP's own state CLOSE, in which Linux answers differently.
//
// The flags `shut_reading_` and `shut_writing_` are Linux's `sk_shutdown`. They are set by a
// shutdown of the program as well as by what the peer sends, so they say what can still happen and
// not who has decided it. `peer_has_finished_` tells the two apart where that matters.

#include "backend/simulated/sockets/tcp_socket.h"

#include "backend/simulated/network.h"
#include "backend/simulated/sockets/handshake.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

namespace asyncio::lowlevel::simulated {

namespace {

/// net.core.somaxconn.
constexpr std::size_t longest_tcp_queue = 4096;

}  // namespace

/// Without `close`: the world ends. The connection may live on in its segments.
TcpSocket::~TcpSocket() {
    if (connection_ != nullptr) connection_->detach(end_);
}

int TcpSocket::most_connect_retries() const noexcept { return option(IPPROTO_TCP, TCP_SYNCNT); }

/// How long bytes may go without an answer. Linux counts its own retransmissions if the option is
/// not set.
Duration TcpSocket::user_timeout() const noexcept {
    return std::chrono::milliseconds(option(IPPROTO_TCP, TCP_USER_TIMEOUT));
}

/// Whether a read would bring bytes now, as opposed to the end or an error.
bool TcpSocket::has_bytes() const noexcept {
    return connection_ != nullptr && !connection_->arrived_at(end_).empty();
}

/// The state CLOSE of TCP.
bool TcpSocket::is_over() const noexcept {
    if (connection_ == nullptr) return !is_listening() && !is_connecting();
    return is_broken_ || connection_->is_finished();
}

/// As tcp_poll.
int TcpSocket::events(int) const noexcept {
    if (is_listening()) return queue_.empty() ? 0 : POLLIN | POLLRDNORM;
    int events = 0;
    if ((shut_reading_ && shut_writing_) || is_over()) events |= POLLHUP;
    if (shut_reading_) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (error_ != 0) events |= POLLERR;
    if (is_connecting()) return events;
    if (has_bytes()) events |= POLLIN | POLLRDNORM;
    // Room for one byte is not enough: at least a third of the buffer must be free
    // (sk_stream_is_writeable).
    const std::size_t pending = connection_ == nullptr ? 0 : connection_->pending(end_);
    if (shut_writing_ || send_limit() >= pending + std::max<std::size_t>(pending / 2, 1))
        events |= POLLOUT | POLLWRNORM;
    return events;
}

// --- Beginning ----------------------------------------------------------------------------------

/// A second listen changes the backlog. A shared port is checked here once more: by SO_REUSEADDR
/// several sockets may be bound to it, but only one may listen. By SO_REUSEPORT several may.
int TcpSocket::listen(int backlog, Surroundings&) {
    if (state_ != State::fresh && state_ != State::listening) return -EINVAL;
    if (!is_bound()) {
        if (const int error = bind_to_unused_port(); error != 0) return -EADDRINUSE;
    }
    if (!is_listening() && !ports().is_free_for(*this, local())) return -EADDRINUSE;
    // A negative number is a large one, as the kernel reads it.
    backlog_ = backlog < 0 ? longest_tcp_queue
                           : std::min(static_cast<std::size_t>(backlog), longest_tcp_queue);
    state_ = State::listening;
    return 0;
}

/// A listener answers at once if a connection waits. A socket that does not listen is a mistake of
/// the program.
int TcpSocket::can_accept() const noexcept {
    if (!is_listening()) return -EINVAL;
    return queue_.empty() ? would_block : 0;
}

/// The number is made before the connection leaves the queue: without memory nothing is lost.
int TcpSocket::accept(Operation& operation, Surroundings& around) {
    const int number = around.descriptors.open(queue_.front(), 0);
    const std::shared_ptr<TcpSocket> accepted = std::move(queue_.front());
    queue_.pop_front();
    if (operation.buffer != nullptr) {
        const Address peer = address_of(accepted->peer(), family());
        operation.size = copy_out(peer, operation.buffer, operation.size);
    }
    return number;
}

/// A connect that is in progress waits for its end, and the operation that asks again gets that
/// end, as with connect(2).
int TcpSocket::can_connect(const Operation&) const noexcept {
    switch (state_) {
        case State::fresh:
        case State::failed: return 0;
        case State::connecting: return would_block;
        case State::connected: return connect_is_reported_ ? -EISCONN : 0;
        case State::listening:
        case State::closed: break;
    }
    return -EISCONN;
}

/// Called at the beginning of a connect and again at its end, as a program calls connect(2).
int TcpSocket::connect(const Operation& operation, Surroundings& around) {
    if (state_ == State::fresh) return begin_connect(operation, around);
    if (state_ == State::failed) return end_failed_connect();
    connect_is_reported_ = true;
    return is_broken_ ? take_error() : 0;
}

/// What can fail comes before the state changes. The memory of the handshake is made here, since
/// the handshake itself cannot fail.
int TcpSocket::begin_connect(const Operation& operation, Surroundings& around) {
    Endpoint peer;
    Ip source;
    if (const int error = read_peer(operation.buffer, operation.size, peer); error != 0)
        return error;
    if (peer.ip.is_for_many()) return -ENETUNREACH;
    if (peer.port == 0) return -ECONNREFUSED;
    if (const int error = choose_source(peer, around, source); error != 0) return error;
    Host& server_host = *around.network.host_at(host(), peer.ip);
    auto self = std::static_pointer_cast<TcpSocket>(shared_from_this());
    Post handshake = post<Handshake>(std::move(self), server_host);
    if (!is_bound()) {
        if (const int error = bind_to_unused_port(); error != 0) return error;
        port_is_chosen_ = true;
    }
    local_.ip = source;
    peer_ = peer;
    state_ = State::connecting;
    Handshake::begin(std::move(handshake), around);
    return would_block;
}

/// The error stays until it is asked for, by the connect itself or by SO_ERROR.
void TcpSocket::connect_has_failed(int error, Surroundings& around) noexcept {
    state_ = State::failed;
    error_ = error;
    shut_reading_ = shut_writing_ = true;
    around.changes.add(*this);
}

/// The socket may try again. If the error was asked for in another way, Linux has this answer left.
int TcpSocket::end_failed_connect() noexcept {
    const int error = error_ == 0 ? -ECONNABORTED : take_error();
    state_ = State::fresh;
    shut_reading_ = shut_writing_ = false;
    peer_ = {Ip::any(family()), 0};
    if (std::exchange(port_is_chosen_, false)) {
        leave_port();
        local_.ip = Ip::any(family());
    }
    return error;
}

/// The new end shares the port of the listener and inherits its options, as in Linux.
void TcpSocket::establish(TcpSocket& client, Surroundings& around) {
    auto server = std::make_shared<TcpSocket>(host(), family());
    server->inherit_options(*this);
    server->share_port(client.peer());
    auto connection = std::make_shared<Connection>(client, *server);
    queue_.push_back(server);
    server->peer_ = client.local();
    server->become_end(connection, 1);
    server->connect_is_reported_ = true;
    client.become_end(std::move(connection), 0);
    around.changes.add(*this);
    around.changes.add(client);
}

void TcpSocket::become_end(std::shared_ptr<Connection> connection, int end) noexcept {
    state_ = State::connected;
    connection_ = std::move(connection);
    end_ = end;
}

// --- Bytes --------------------------------------------------------------------------------------

/// The order is that of tcp_recvmsg_locked: bytes, the end of the stream, an error, a shutdown. A
/// receive of no bytes waits as any other.
int TcpSocket::can_receive(const Transfer& transfer) const noexcept {
    if ((transfer.flags & MSG_OOB) != 0) return -EINVAL;
    if ((transfer.flags & MSG_ERRQUEUE) != 0) return would_block;
    if (is_listening()) return -ENOTCONN;
    if (has_bytes() || peer_has_finished_ || error_ != 0 || shut_reading_) return 0;
    return is_over() ? -ENOTCONN : would_block;
}

/// The bytes come first, then the end of the stream or the error.
int TcpSocket::receive(const Transfer& transfer, Surroundings& around) {
    if (transfer.header != nullptr) transfer.header->msg_controllen = 0;
    transfer.answer_address({});
    transfer.answer_flags(0);
    if (!has_bytes()) return peer_has_finished_ ? 0 : take_error();
    const auto bytes = connection_->arrived_at(end_);
    const std::size_t count = around.plan.shortened(std::min(transfer.size, bytes.size()));
    if (const int error = transfer.deliver(bytes.first(count), around); error != 0) return error;
    if ((transfer.flags & MSG_PEEK) == 0) connection_->remove(end_, count, around);
    return static_cast<int>(count);
}

/// An error is reported before EPIPE, which says less (sk_stream_error).
int TcpSocket::can_send(const Transfer& transfer) const noexcept {
    if ((transfer.flags & MSG_OOB) != 0) return -EOPNOTSUPP;
    if (error_ != 0) return 0;
    if (is_connecting()) return would_block;
    if (connection_ == nullptr || shut_writing_) return -EPIPE;
    return transfer.size == 0 || connection_->room(end_) > 0 ? 0 : would_block;
}

/// Bytes leave for the peer in the order in which they were sent, whatever the link does with
/// single packets: loss and disorder only cost time in TCP.
int TcpSocket::send(const Transfer& transfer, Surroundings& around) {
    if (error_ != 0) return take_error();
    if (transfer.size == 0) return 0;
    const std::size_t most = std::min(transfer.size, connection_->room(end_));
    const std::size_t count = around.plan.shortened(most);
    connection_->send(end_, transfer, count, around);
    return static_cast<int>(count);
}

// --- The end ------------------------------------------------------------------------------------

/// As inet_shutdown. The part for reading has no effect on the peer: TCP has no word for it.
int TcpSocket::shutdown(int how, Surroundings& around) {
    const bool ends_reading = how != SHUT_WR;
    if (is_listening()) {
        if (ends_reading) stop_listening(around);
        return 0;
    }
    if (is_connecting()) {
        connect_has_failed(ECONNABORTED, around);
        return 0;
    }
    // Linux answers an error here, and has the effect all the same.
    const bool was_over = is_over();
    if (ends_reading) shut_reading_ = true;
    if (how != SHUT_RD && !std::exchange(shut_writing_, true) && !was_over)
        connection_->finish(end_, around);
    around.changes.add(*this);
    return was_over ? -ENOTCONN : 0;
}

int TcpSocket::peer_address(Address& address) const noexcept {
    if (connection_ == nullptr || is_over()) return -ENOTCONN;
    address = address_of(peer_, family());
    return 0;
}

/// The end arrives. Bytes that came before it can still be read.
void TcpSocket::peer_has_finished(Surroundings& around) noexcept {
    peer_has_finished_ = true;
    shut_reading_ = true;
    around.changes.add(*this);
}

/// As tcp_reset: behind a FIN, the error is that of a pipe.
void TcpSocket::peer_has_reset(Surroundings& around) noexcept {
    if (!is_over()) break_off(peer_has_finished_ ? EPIPE : ECONNRESET, around);
}

void TcpSocket::peer_is_lost(Surroundings& around) noexcept { break_off(ETIMEDOUT, around); }

/// The connection ends by an error: RST has come, or a limit has passed without an answer.
void TcpSocket::break_off(int error, Surroundings& around) noexcept {
    error_ = error;
    is_broken_ = true;
    shut_reading_ = shut_writing_ = true;
    around.changes.add(*this);
}

/// Connections that no accept has taken are reset: their clients believe that they are served.
void TcpSocket::stop_listening(Surroundings& around) noexcept {
    state_ = State::fresh;
    for (const auto& waiting_connection : std::exchange(queue_, {})) {
        waiting_connection->connection_->reset(waiting_connection->end_, around);
        waiting_connection->close(0, around);
    }
    around.changes.add(*this);
}

/// Bytes that no read has taken are a reason for RST: the peer must not believe that they arrived
/// (RFC 2525, section 2.17).
void TcpSocket::leave_connection(Surroundings& around) noexcept {
    if (!is_over()) {
        const bool lost_bytes = has_bytes();
        const bool aborts = linger_s() == 0;
        if (lost_bytes || aborts) {
            connection_->reset(end_, around);
        } else {
            connection_->finish(end_, around);
        }
    }
    connection_->detach(end_);
    connection_.reset();
}

void TcpSocket::reset_connection_to(const Host& peer, Surroundings& around) noexcept {
    if (connection_ != nullptr && &connection_->host_at(1 - end_) == &peer)
        connection_->abort(around);
}

/// The connection goes on without this end: what comes for it is lost, and refused when the host is
/// on again.
void TcpSocket::lose_power(Surroundings& around) noexcept {
    Socket::lose_power(around);
    queue_.clear();
    state_ = State::closed;
    leave_port();
    if (connection_ == nullptr) return;
    connection_->detach(end_);
    connection_->forget(end_, around);
    connection_.reset();
}

void TcpSocket::close(int, Surroundings& around) noexcept {
    if (is_listening()) stop_listening(around);
    if (connection_ != nullptr) leave_connection(around);
    state_ = State::closed;
    leave_port();
}

}  // namespace asyncio::lowlevel::simulated
