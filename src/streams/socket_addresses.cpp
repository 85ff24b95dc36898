// Asking for the addresses of a socket. A failure is no error here: the callers want an address for
// a message or a log, and an empty one says that there is none.

#include "streams/socket_addresses.h"

#include <asyncio/lowlevel/perform_now.h>

#include <algorithm>

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

}  // namespace asyncio::internal
