#pragma once
// The channel of a connected socket: one descriptor for both directions.
//
// Reads and writes go to the back-end as `recv` and `send`. The two sides end apart: the end of the
// writing side is a shutdown(2), which the peer sees, while the program still reads. The descriptor
// is closed when both sides are. The back-end then ends what is in flight on it (rule 9 in
// backend.h), so a read of another task need not be cancelled first: it finds the end of the
// stream.
//
// The address of the peer is noted when the connection is made: after a reset the kernel does not
// know it any more, and the program wants to log it then. There may be very many connections, so
// the address is kept in as few bytes as its family needs. A Unix socket's peer has no useful name.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/lowlevel/channel.h>
#include <asyncio/lowlevel/loop_fd.h>

#include "streams/claimed_fd.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::internal {

class SocketChannel : public lowlevel::Channel {
public:
    /// Takes the connected socket over. `peer` may be empty: it is asked for when it is needed.
    /// `is_tcp` lets the back-end save calls; false is right for every socket.
    SocketChannel(lowlevel::LoopFd socket, const Address& peer, bool is_tcp) noexcept;

    std::string name() const override;
    Submitted submit(lowlevel::Operation& operation) noexcept override;
    int write_now(std::string_view bytes) noexcept override;
    void cancel(lowlevel::Operation& operation) noexcept override {
        socket_.loop()->cancel(operation);
    }
    Submitted close(Side side, lowlevel::Operation& operation) noexcept override;
    bool is_connection() const noexcept override { return true; }
    Address peer() const override;
    Address local() const override;
    int fd() const noexcept override { return socket_.get(); }
    void note_write_error(int error) noexcept override;
    int error_at_end() const noexcept override { return broken_by_; }

    /// Ends the connection below every stream over it. `side` is `reading`, and every read finds
    /// the end, also one that is in flight; or `both`, and every write fails as well. The streams
    /// close the socket as usual.
    void shut_down(Side side) noexcept;

private:
    void address(lowlevel::Operation& operation, lowlevel::OperationKind kind) const noexcept;
    Submitted close_socket(lowlevel::Operation& operation) noexcept;
    void shut_down_socket(int how) noexcept;

    ClaimedFd socket_;
    bool is_tcp_ : 1;
    bool reading_closed_ : 1 = false;
    bool writing_closed_ : 1 = false;
    /// The errno that a write was told when the connection broke; 0: none.
    std::uint8_t broken_by_ = 0;
    std::uint8_t peer_size_ = 0;
    /// The peer's address, if it is an IPv4 or IPv6 address. The latter is the longest.
    alignas(sockaddr_in6) std::array<std::byte, sizeof(sockaddr_in6)> peer_;
};

}  // namespace asyncio::internal
