// Asking a socket about itself. A failure is no error here: the callers want an address for a
// message or a log, and an empty one says that there is none. The protocol is a hint.

#include "streams/socket_facts.h"

#include <asyncio/lowlevel/perform_now.h>

#include <algorithm>

#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::internal {
namespace {

Address address_of(lowlevel::Loop& loop, lowlevel::OperationKind kind, int fd) {
    sockaddr_storage storage{};
    lowlevel::OperationRequest request{
        .kind = kind, .fd = fd, .buffer = &storage, .size = sizeof storage};
    if (lowlevel::perform_now(loop, request) < 0) return {};
    const auto size = static_cast<std::uint32_t>(std::min(request.size, sizeof storage));
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
}

}  // namespace

Address local_address_of(lowlevel::Loop& loop, int fd) {
    return address_of(loop, lowlevel::OperationKind::getsockname, fd);
}

Address peer_address_of(lowlevel::Loop& loop, int fd) {
    return address_of(loop, lowlevel::OperationKind::getpeername, fd);
}

bool is_tcp(lowlevel::Loop& loop, int fd) {
    int protocol = 0;
    const int result = lowlevel::perform_now(loop, {.kind = lowlevel::OperationKind::getsockopt,
                                                    .fd = fd,
                                                    .second_fd = SO_PROTOCOL,
                                                    .flags = SOL_SOCKET,
                                                    .buffer = &protocol,
                                                    .size = sizeof protocol});
    return result >= 0 && protocol == IPPROTO_TCP;
}

}  // namespace asyncio::internal
