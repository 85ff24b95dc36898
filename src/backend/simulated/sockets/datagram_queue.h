#pragma once
// The datagrams that have come to a socket and were not received yet.
//
// A datagram is received whole. What does not fit into the memory of the receive is lost, and the
// answer says so (MSG_TRUNC).
//
// Thread-safety: none.

#include "backend/simulated/sockets/endpoint.h"
#include "backend/simulated/sockets/messages.h"

#include <cstddef>
#include <list>
#include <utility>

namespace asyncio::lowlevel::simulated {

struct Datagram {
    /// The address of the sender; empty if it has none.
    Address from;
    ByteQueue bytes;
    Passengers passengers;
};

class DatagramQueue {
public:
    bool empty() const noexcept { return datagrams_.empty(); }
    std::size_t count() const noexcept { return datagrams_.size(); }
    /// What the datagrams take of the buffer that is their limit: the receiver's for UDP, the
    /// sender's for Unix sockets.
    std::size_t size_bytes() const noexcept { return size_bytes_; }

    /// Throws: `std::bad_alloc`; the queue is as it was then.
    void push(Datagram datagram);

    /// Carries out a receive; the queue must not be empty. Throws: `std::bad_alloc`; nothing was
    /// received then.
    int receive(const Transfer& transfer, Surroundings& around);

    void dismiss_all(Surroundings& around) noexcept;
    void surrender(Passengers& all);

private:
    /// A list, because an empty std::deque needs memory, also the one that a move leaves behind.
    /// A close must not fail.
    std::list<Datagram> datagrams_;
    std::size_t size_bytes_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
