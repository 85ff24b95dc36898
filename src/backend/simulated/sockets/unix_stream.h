#pragma once
// A Unix stream socket in memory: it listens, or it has a peer.
//
// Each of two connected sockets has the bytes that were sent to it, and a pointer to the other one.
// What the peer has not read counts against the sender's buffer.
//
// Descriptors travel beside the bytes of the message that they were sent with. A receive that
// reaches the message gets them all, and stops at the end of the message. So two messages with
// descriptors are never received as one.
//
// Thread-safety: none. A socket belongs to one world.

#include "backend/simulated/byte_queue.h"
#include "backend/simulated/sockets/unix_socket.h"

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

namespace asyncio::lowlevel::simulated {

class UnixStream final : public UnixSocket {
public:
    explicit UnixStream(Host& host) noexcept : UnixSocket(host, SOCK_STREAM) {}
    ~UnixStream() override;

    void close(int side, Surroundings& around) noexcept override;
    void lose_power(Surroundings& around) noexcept override;
    bool is_listening() const noexcept override { return state_ == State::listening; }
    void surrender(Passengers& all) override;

private:
    enum class State : std::uint8_t { fresh, listening, connected };

    /// A message with passengers, by the places of its bytes in the stream.
    struct Message {
        std::uint64_t begin;
        std::uint64_t end;
        Passengers passengers;
    };

    int events(int side) const noexcept override;
    int can_accept() const noexcept override;
    int can_connect(const Operation&) const noexcept override { return 0; }
    int can_receive(const Transfer& transfer) const noexcept override;
    int can_send(const Transfer& transfer) const noexcept override;
    int accept(Operation& operation, Surroundings& around) override;
    int connect(const Operation& operation, Surroundings& around) override;
    int receive(const Transfer& transfer, Surroundings& around) override;
    int send(const Transfer& transfer, Surroundings& around) override;
    int listen(int backlog, Surroundings& around) override;
    int shutdown(int how, Surroundings& around) override;
    int peer_address(Address& address) const noexcept override;

    void put(const Transfer& transfer, std::size_t count, Passengers passengers);
    std::size_t pending() const noexcept;
    std::size_t room() const noexcept;
    bool cannot_write() const noexcept;
    void stop_listening(Surroundings& around) noexcept;
    void leave_peer(bool loses_bytes, Surroundings& around) noexcept;

    State state_ = State::fresh;
    /// Null when the peer is closed, and for a socket that is not connected.
    UnixStream* peer_ = nullptr;
    /// The name of the peer, which stays when the peer is closed.
    std::string peer_name_;

    /// What the peer has sent and this socket has not read.
    ByteQueue bytes_;
    /// How many bytes were read: the place of the first byte in the queue.
    std::uint64_t place_ = 0;
    /// Lists, because an empty std::deque needs memory, also the one that a move leaves behind, and
    /// a close must not fail.
    std::list<Message> messages_;

    /// Of a listener: connections that no accept has taken yet.
    std::list<std::shared_ptr<UnixStream>> queue_;
    std::size_t backlog_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
