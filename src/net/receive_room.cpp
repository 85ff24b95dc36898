// Receiving into the slots, and taking series of datagrams apart.
//
// The kernel writes three things for each message: its bytes, the address of the sender, and for a
// series the length of its datagrams. It also changes the lengths in the header, so the headers are
// filled in before every call.

#include "net/receive_room.h"

#include "net/message.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include <netinet/in.h>
#include <netinet/udp.h>

namespace asyncio::internal {

namespace {

/// How long each datagram of a series is; 0 for a message that is a single datagram.
std::size_t series_length(const msghdr& header) noexcept {
    const cmsghdr* control = CMSG_FIRSTHDR(&header);
    if (control == nullptr || control->cmsg_level != SOL_UDP || control->cmsg_type != UDP_GRO)
        return 0;
    int length = 0;
    std::memcpy(&length, CMSG_DATA(control), sizeof length);
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

}  // namespace

/// The memory is made by the first endpoint that receives on the thread, and then stays. It is not
/// cleared: that would touch all of it.
ReceiveRoom& ReceiveRoom::of_thread() {
    thread_local std::unique_ptr<ReceiveRoom> room;
    if (!room) room.reset(new ReceiveRoom);
    return *room;
}

/// MSG_DONTWAIT lends the room to the kernel for the time of the call alone.
lowlevel::OperationRequest ReceiveRoom::request(int fd, std::size_t most) noexcept {
    const std::size_t count = std::min(most, slot_count);
    for (std::size_t index = 0; index < count; ++index) {
        Slot& slot = slots_[index];
        slot.part = {bytes_[index].data(), slot_bytes};
        msghdr& header = headers_[index].msg_hdr;
        header = {};
        header.msg_name = &slot.from;
        header.msg_namelen = sizeof slot.from;
        header.msg_iov = &slot.part;
        header.msg_iovlen = 1;
        header.msg_control = slot.control.data();
        header.msg_controllen = slot.control.size();
    }
    return {.kind = lowlevel::OperationKind::recvmmsg,
            .fd = fd,
            .blocking = lowlevel::Blocking::owned,
            .flags = MSG_DONTWAIT,
            .buffer = headers_.data(),
            .size = count};
}

void ReceiveRoom::take(std::size_t messages, std::vector<ReceivedFrom>& datagrams) const {
    for (std::size_t index = 0; index < messages; ++index) take_one(index, datagrams);
}

/// A message without bytes is an empty datagram. The datagrams of a series come from one sender,
/// and none of them can be cut off, since a series is never longer than a slot.
void ReceiveRoom::take_one(std::size_t index, std::vector<ReceivedFrom>& datagrams) const {
    const msghdr& header = headers_[index].msg_hdr;
    const Address from = address_in(header);
    const bool truncated = (header.msg_flags & MSG_TRUNC) != 0;
    std::string_view rest(bytes_[index].data(), headers_[index].msg_len);
    const std::size_t length = series_length(header);
    if (length == 0 || rest.empty()) {
        datagrams.push_back({std::string(rest), from, truncated});
        return;
    }
    for (; !rest.empty(); rest.remove_prefix(std::min(length, rest.size())))
        datagrams.push_back({std::string(rest.substr(0, length)), from, truncated});
}

}  // namespace asyncio::internal
