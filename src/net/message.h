#pragma once
// The memory of a message: one buffer, an address, and room for descriptors, in the form in which
// sendmsg(2) and recvmsg(2) want it.
//
// A message lies in the frame of the coroutine that waits for it, or in a state that outlives the
// operation. The header points to the other members, so a message is neither copied nor moved.
//
// Thread-safety: none.

#include <asyncio/address.h>
#include <asyncio/lowlevel/operation.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::internal {

/// The address that the kernel has written into the header of a message.
inline Address address_in(const msghdr& header) {
    const auto length = std::min<std::size_t>(header.msg_namelen, sizeof(sockaddr_storage));
    return Address::from_sockaddr(static_cast<const sockaddr*>(header.msg_name),
                                  static_cast<std::uint32_t>(length));
}

/// A message. It refers to the caller's bytes and address, and stays where it was made.
struct Message {
    explicit Message(std::span<const char> bytes) {
        part.iov_base = const_cast<char*>(bytes.data());
        part.iov_len = bytes.size();
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    /// An empty address is that of the peer, which the kernel knows.
    void to(const Address& address) {
        if (address.is_empty()) return;
        header.msg_name = const_cast<sockaddr*>(address.data());
        header.msg_namelen = address.size();
    }
    void with_room_for_address() {
        header.msg_name = &from;
        header.msg_namelen = sizeof from;
    }
    Address address() const { return address_in(header); }
    bool truncated() const noexcept { return (header.msg_flags & MSG_TRUNC) != 0; }

    lowlevel::OperationRequest& as(lowlevel::OperationKind kind) {
        request = {
            .kind = kind, .blocking = lowlevel::Blocking::owned, .buffer = &header, .size = 1};
        return request;
    }

    iovec part{};
    msghdr header{};
    sockaddr_storage from{};
    lowlevel::OperationRequest request{};
};

}  // namespace asyncio::internal
