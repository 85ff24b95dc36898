#pragma once
// A TCP socket in memory: it listens, or it is an end of a connection.
//
// Which results and which poll events a socket gives in which state is Linux's own (net/ipv4/tcp.c:
// tcp_poll, tcp_recvmsg, tcp_sendmsg, inet_shutdown). The tests of the simulation compare them with
// the kernel, call by call.
//
// Left out: urgent data, TCP Fast Open, simultaneous connects, a connect that undoes another one
// (AF_UNSPEC), and the minute in which a closed connection keeps its port (TIME_WAIT).
//
// Thread-safety: none. A socket belongs to one world.

#include "backend/simulated/sockets/connection.h"
#include "backend/simulated/sockets/inet_socket.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

namespace asyncio::lowlevel::simulated {

class TcpSocket final : public InetSocket {
public:
    TcpSocket(Host& host, int family) noexcept : InetSocket(host, family, SOCK_STREAM) {}
    ~TcpSocket() override;

    void close(int side, Surroundings& around) noexcept override;
    bool is_listening() const noexcept override { return state_ == State::listening; }

    // For the handshake.
    bool is_connecting() const noexcept { return state_ == State::connecting; }
    int most_connect_retries() const noexcept;
    bool queue_is_full() const noexcept { return queue_.size() > backlog_; }
    void connect_has_failed(int error, Surroundings& around) noexcept;
    /// Of a listener: makes the other end for `client`, and puts it into the queue. Throws:
    /// `std::bad_alloc`; nothing has happened then.
    void establish(TcpSocket& client, Surroundings& around);

    // For the network.
    void reset_connection_to(const Host& peer, Surroundings& around) noexcept;
    void lose_power(Surroundings& around) noexcept override;

    // For the connection.
    std::size_t send_limit() const noexcept { return buffer_bytes(SO_SNDBUF); }
    std::size_t receive_limit() const noexcept { return buffer_bytes(SO_RCVBUF); }
    /// TCP_USER_TIMEOUT: for how long lost bytes are sent again. Zero: the usual number of times.
    Duration user_timeout() const noexcept;
    /// Whether bytes that arrive are answered by RST.
    bool refuses_bytes() const noexcept {
        return shut_reading_ && shut_writing_ && !peer_has_finished_;
    }
    void peer_has_finished(Surroundings& around) noexcept;
    void peer_has_reset(Surroundings& around) noexcept;
    /// Nothing has come from the peer for too long.
    void peer_is_lost(Surroundings& around) noexcept;

private:
    enum class State : std::uint8_t { fresh, listening, connecting, failed, connected, closed };

    int events(int side) const noexcept override;
    int can_accept() const noexcept override;
    int can_connect(const Operation& operation) const noexcept override;
    int can_receive(const Transfer& transfer) const noexcept override;
    int can_send(const Transfer& transfer) const noexcept override;
    int accept(Operation& operation, Surroundings& around) override;
    int connect(const Operation& operation, Surroundings& around) override;
    int receive(const Transfer& transfer, Surroundings& around) override;
    int send(const Transfer& transfer, Surroundings& around) override;
    int listen(int backlog, Surroundings& around) override;
    int shutdown(int how, Surroundings& around) override;
    int peer_address(Address& address) const noexcept override;

    int begin_connect(const Operation& operation, Surroundings& around);
    int end_failed_connect() noexcept;
    void stop_listening(Surroundings& around) noexcept;
    void become_end(std::shared_ptr<Connection> connection, int end) noexcept;
    void break_off(int error, Surroundings& around) noexcept;
    void leave_connection(Surroundings& around) noexcept;
    bool has_bytes() const noexcept;
    bool is_over() const noexcept;

    State state_ = State::fresh;
    /// The connect has told its caller that it succeeded.
    bool connect_is_reported_ = false;
    /// The port was chosen by the connect, and not by bind(2).
    bool port_is_chosen_ = false;
    /// FIN has arrived.
    bool peer_has_finished_ = false;
    /// The connection has ended by an error.
    bool is_broken_ = false;

    std::shared_ptr<Connection> connection_;
    int end_ = 0;

    /// Of a listener: connections that no accept has taken yet. A list, because an empty std::deque
    /// needs memory, also the one that a move leaves behind, and a close must not fail.
    std::list<std::shared_ptr<TcpSocket>> queue_;
    std::size_t backlog_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
