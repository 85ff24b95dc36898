#pragma once
// The walk over the control messages of a socket (cmsg(3)): descriptors, lengths of datagrams.
//
// The macros of the C library check that the next header fits. They do not check that the data of a
// message lies within the memory, and they take the length of the first header as it is. That is
// enough for what a kernel has written. This walk also serves messages that a program has written,
// so it checks each length, as the kernel does in a send.
//
// Thread-safety: none of its own; the memory is the caller's.

#include <algorithm>
#include <cstring>
#include <string_view>

#include <sys/socket.h>

namespace asyncio::internal {

/// Calls `visit(level, type, data)` for each control message of `header`, in their order. Bytes
/// behind the last message that are too few for a header are no message.
/// Returns false if the length of a message is wrong. The messages before it were visited.
template <class Visit>
bool visit_control_messages(const msghdr& header, Visit visit) {
    if (header.msg_control == nullptr) return true;
    std::string_view rest(static_cast<const char*>(header.msg_control), header.msg_controllen);
    while (rest.size() >= sizeof(cmsghdr)) {
        cmsghdr part;
        std::memcpy(&part, rest.data(), sizeof part);
        if (part.cmsg_len < CMSG_LEN(0) || part.cmsg_len > rest.size()) return false;
        visit(part.cmsg_level, part.cmsg_type,
              rest.substr(CMSG_LEN(0), part.cmsg_len - CMSG_LEN(0)));
        rest.remove_prefix(std::min<std::size_t>(CMSG_ALIGN(part.cmsg_len), rest.size()));
    }
    return true;
}

/// Calls `take(number)` for each descriptor of `header`. Returns false as above. The length of a
/// message is known before any of its descriptors is taken.
template <class Take>
bool visit_descriptors(const msghdr& header, Take take) {
    return visit_control_messages(header, [&](int level, int type, std::string_view data) {
        if (level != SOL_SOCKET || type != SCM_RIGHTS) return;
        for (; data.size() >= sizeof(int); data.remove_prefix(sizeof(int))) {
            int number = -1;
            std::memcpy(&number, data.data(), sizeof number);
            take(number);
        }
    });
}

}  // namespace asyncio::internal
