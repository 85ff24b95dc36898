// Receiving into the slots, and taking series of datagrams apart.
//
// The kernel writes three things for each message: its bytes, the address of the sender, and for a
// series the length of its datagrams. It also changes the lengths in the header, so the headers are
// filled in before every call.

#include "net/receive_room.h"

#include "base/control_messages.h"
#include "net/message.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include <netinet/in.h>
#include <netinet/udp.h>

namespace asyncio::internal {

namespace {

/// How long each datagram of a series is; 0 for a message that is a single datagram. The kernel
/// writes the length as an int, once for each message.
std::size_t series_length(const msghdr& header) noexcept {
    int length = 0;
    visit_control_messages(header, [&](int level, int type, std::string_view data) {
        if (level == SOL_UDP && type == UDP_GRO && data.size() >= sizeof length)
            std::memcpy(&length, data.data(), sizeof length);
    });
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

/// Whether ancillary data did not fit into the room for them. A message without a room says so
/// whenever there were any, which is no loss.
bool lacks_ancillary_data(const msghdr& header) noexcept {
    return header.msg_control != nullptr && (header.msg_flags & MSG_CTRUNC) != 0;
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
lowlevel::OperationRequest ReceiveRoom::request(int fd, std::size_t most, bool series) noexcept {
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
        if (!series) continue;
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

std::size_t ReceiveRoom::take(std::size_t messages, std::vector<ReceivedFrom>& datagrams) const {
    std::size_t dropped = 0;
    for (std::size_t index = 0; index < messages; ++index)
        if (!take_one(index, datagrams)) ++dropped;
    return dropped;
}

/// A message without bytes is an empty datagram. The datagrams of a series come from one sender,
/// and none of them can be cut off, since a series is never longer than a slot.
bool ReceiveRoom::take_one(std::size_t index, std::vector<ReceivedFrom>& datagrams) const {
    const msghdr& header = headers_[index].msg_hdr;
    const std::size_t length = series_length(header);
    if (length == 0 && lacks_ancillary_data(header)) return false;
    const Address from = address_in(header);
    const bool truncated = (header.msg_flags & MSG_TRUNC) != 0;
    std::string_view rest(bytes_[index].data(), headers_[index].msg_len);
    if (length == 0 || rest.empty()) {
        datagrams.push_back({std::string(rest), from, truncated});
        return true;
    }
    for (; !rest.empty(); rest.remove_prefix(std::min(length, rest.size())))
        datagrams.push_back({std::string(rest.substr(0, length)), from, truncated});
    return true;
}

}  // namespace asyncio::internal
