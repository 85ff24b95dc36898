#pragma once
// The memory of the requests that move bytes: one buffer (read, send), several (recvmsg), or none
// of the request's own (`Operation::receive`). The sockets see one shape, `Transfer`.
//
// Also the descriptors that travel in messages of Unix sockets (SCM_RIGHTS, unix(7)). A passenger
// is an open file of the world, or a real descriptor, which is duplicated as the kernel does.
//
// Thread-safety: none.

#include <asyncio/address.h>
#include <asyncio/lowlevel/fd.h>
#include <asyncio/lowlevel/operation.h>

#include "backend/simulated/byte_queue.h"
#include "backend/simulated/descriptors.h"

#include <cstddef>
#include <span>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::lowlevel::simulated {

/// A request to receive or to send. It refers to the operation or the message that it was made of.
class Transfer {
public:
    /// `read`, `recv`, `write`, `send`. The flags of the first and the third mean nothing.
    explicit Transfer(Operation& operation) noexcept;
    Transfer(msghdr& message, int message_flags) noexcept : flags(message_flags), header(&message) {
        size = size_of(message);
    }

    /// Copies `bytes` into the memory of a receive. −ENOMEM without memory for a receive that has
    /// none of its own; nothing was copied then.
    int deliver(std::span<const std::byte> bytes, Surroundings& around) const noexcept;

    /// Adds the first `count` bytes of a send to `queue`. Throws: `std::bad_alloc`; nothing was
    /// added then.
    void collect(std::size_t count, ByteQueue& queue) const;

    /// How many bytes the request moves at most.
    std::size_t size = 0;
    int flags = 0;
    /// Null for a request without addresses and ancillary data.
    msghdr* header = nullptr;

    /// Sets the members of the header that a receive answers.
    void answer_address(const Address& address) const noexcept;
    void answer_flags(int answered) const noexcept {
        if (header != nullptr) header->msg_flags = answered;
    }

private:
    static std::size_t size_of(const msghdr& message) noexcept;
    std::span<const iovec> parts() const noexcept;

    /// The only part, if there is no header.
    iovec one_{};
    /// The operation that has no memory, if it is such a one.
    Operation* receiver_ = nullptr;
};

/// A descriptor in a message.
struct Passenger {
    DescriptionPtr file;
    Fd real;
};
using Passengers = std::vector<Passenger>;

/// Reads the descriptors out of the ancillary data of a send. 0, or −errno. Throws:
/// `std::bad_alloc`.
int board(const msghdr& message, const Descriptors& descriptors, Passengers& passengers);

/// Gives the passengers numbers, and writes these into the ancillary data of a receive. Without a
/// header, or without room, the rest stays without numbers. Returns MSG_CTRUNC then, else 0.
/// Throws: `std::bad_alloc`; nothing has happened then.
int alight(const Passengers& passengers, const Transfer& transfer, Surroundings& around);

/// Lets go of the passengers.
void dismiss(Passengers passengers, Surroundings& around) noexcept;

}  // namespace asyncio::lowlevel::simulated
