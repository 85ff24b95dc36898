// Names of Unix sockets.
//
// A path is looked up in the files of the socket's host at every bind and connect, as in the
// kernel: a file that was renamed is found under its new name, and a new socket at an old path is
// another one.

#include "backend/simulated/sockets/unix_socket.h"

#include "backend/simulated/host.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include <sys/un.h>

namespace asyncio::lowlevel::simulated {

namespace {

constexpr std::size_t place_of_path = offsetof(sockaddr_un, sun_path);
/// MAX_RECURSION_LEVEL of Linux.
constexpr int deepest_level = 4;

/// The name in an address; empty for an address without one. 0, or −errno.
int read_unix_name(const void* address, std::size_t length, std::string& name) {
    const auto* given = static_cast<const sockaddr_un*>(address);
    if (address == nullptr || length < place_of_path || length > sizeof(sockaddr_un) ||
        given->sun_family != AF_UNIX)
        return -EINVAL;
    const std::size_t room = length - place_of_path;
    const bool is_abstract = room > 0 && given->sun_path[0] == '\0';
    name.assign(given->sun_path, is_abstract ? room : ::strnlen(given->sun_path, room));
    return 0;
}

}  // namespace

Address UnixSocket::address_of_name(const std::string& name) noexcept {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&address),
                                  static_cast<std::uint32_t>(place_of_path + name.size()));
}

int UnixSocket::bind(const Operation& operation, Surroundings& around) {
    std::string name;
    if (const int error = read_unix_name(operation.buffer, operation.size, name); error != 0)
        return error;
    if (name.empty()) return name_.empty() ? bind_to_unused_name() : 0;
    if (!name_.empty()) return -EINVAL;
    if (is_abstract(name)) {
        if (host().unix_names.contains(name)) return -EADDRINUSE;
        host().unix_names.add(name, *this);
    } else if (const int error = host().files->bind_socket(name, *this, node_, around);
               error != 0) {
        return error;
    }
    name_ = std::move(name);
    is_bound_ = true;
    return 0;
}

/// As Linux: an abstract name of five hexadecimal digits.
int UnixSocket::bind_to_unused_name() {
    constexpr unsigned names = 1u << 20;
    for (unsigned number = 0; number < names; ++number) {
        char digits[7] = {};
        std::snprintf(digits, sizeof digits, "%05x", number);
        std::string name(1, '\0');
        name += digits;
        if (host().unix_names.contains(name)) continue;
        host().unix_names.add(name, *this);
        name_ = std::move(name);
        is_bound_ = true;
        return 0;
    }
    return -ENOSPC;
}

/// The node of a path stays, as a file that no socket listens at.
void UnixSocket::leave_name() noexcept {
    if (node_ != nullptr) node_->socket = nullptr;
    node_.reset();
    if (std::exchange(is_bound_, false) && is_abstract(name_)) host().unix_names.remove(name_);
}

int UnixSocket::find_peer(const void* address, std::size_t length, UnixSocket*& peer) const {
    std::string name;
    if (const int error = read_unix_name(address, length, name); error != 0) return error;
    if (name.empty()) return -ECONNREFUSED;
    if (is_abstract(name)) {
        peer = host().unix_names.find(name);
        if (peer == nullptr) return -ECONNREFUSED;
    } else if (const int error = host().files->find_socket(name, peer); error != 0) {
        return error;
    }
    return peer->type() == type() ? 0 : -EPROTOTYPE;
}

int UnixSocket::board_all(const Transfer& transfer, Passengers& passengers, Surroundings& around) {
    if (transfer.header == nullptr || transfer.header->msg_control == nullptr) return 0;
    if (const int error = board(*transfer.header, around.descriptors, passengers); error != 0)
        return error;
    return depth_of(passengers) > deepest_level ? -ETOOMANYREFS : 0;
}

/// A message with sockets is one level deeper than the deepest message that waits at any of them.
int UnixSocket::depth_of(const Passengers& passengers) noexcept {
    int depth = 0;
    for (const Passenger& passenger : passengers) {
        if (passenger.file == nullptr) continue;
        const auto* socket = dynamic_cast<const UnixSocket*>(passenger.file->object.get());
        if (socket != nullptr) depth = std::max(depth, socket->depth_ + 1);
    }
    return depth;
}

}  // namespace asyncio::lowlevel::simulated
