// Listening sockets.
//
// A Unix socket has a file, which stays when the socket is closed, and then keeps the next server
// from using the path. So an old socket at the path is removed before the bind, and the file of
// this server at its end. Neither may remove a file of another program. At the path a socket alone
// is replaced. At the end the file must still have the device and the inode that it had after the
// bind: another server may have replaced it meanwhile. There is no way to do the comparison and the
// removal in one step, so a very late replacement can be hit. Python has the same gap.

#include "net/listener.h"

#include <asyncio/exceptions.h>
#include <asyncio/internal/core/awaitable.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/names.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace asyncio::internal {
namespace {

/// What is at `path`, as an operation of the back-end, since a path of the simulated world is known
/// to it alone. Without following a link: a link to a socket is no socket of a server.
Coro<int> look_at(const std::string& path, struct statx& answer) {
    co_return co_await lowlevel::perform({.kind = lowlevel::OperationKind::statx,
                                          .fd = AT_FDCWD,
                                          .flags = AT_SYMLINK_NOFOLLOW,
                                          .buffer = const_cast<char*>(path.c_str()),
                                          .size = STATX_TYPE | STATX_INO,
                                          .second = &answer});
}

Coro<int> remove_file(const std::string& path) {
    co_return co_await lowlevel::perform({.kind = lowlevel::OperationKind::unlink,
                                          .fd = AT_FDCWD,
                                          .flags = 0,
                                          .buffer = const_cast<char*>(path.c_str())});
}

std::uint64_t device_of(const struct statx& about) noexcept {
    return makedev(about.stx_dev_major, about.stx_dev_minor);
}

}  // namespace

/// Without IPV6_V6ONLY a socket of IPv6 would take the connections of IPv4 as well, and the two
/// families could not use the same port.
Listener listen_on(const Address& address, const ListenOptions& options) {
    Socket socket(address.family(), SOCK_STREAM);
    if (options.reuse_address) socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
    if (address.is_ipv6()) socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1);
    socket.bind(address);
    socket.listen(options.backlog);
    const Address bound = socket.getsockname();
    return Listener{std::move(socket), bound, {}};
}

namespace {

/// Moves the addresses of a host that are not known yet into a list, and notes them in `known`. A
/// name and a number of the same address give one socket.
std::vector<Address> new_addresses(const std::vector<AddressInfo>& found,
                                   std::vector<Address>& known) {
    std::vector<Address> fresh;
    for (const AddressInfo& info : found) {
        if (std::find(known.begin(), known.end(), info.address) != known.end()) continue;
        known.push_back(info.address);
        fresh.push_back(info.address);
    }
    return fresh;
}

/// The address is of a family that is switched off, or of another machine.
bool is_not_of_this_machine(int error) noexcept {
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/// Listens on the addresses of one host. An address that this machine does not have is left out if
/// the host has another one. The name "localhost" stands for ::1, too, also on a machine without
/// IPv6, and a server must be able to listen there.
void listen_on_host(std::vector<Listener>& listeners, const std::vector<Address>& addresses,
                    const ListenOptions& options) {
    std::exception_ptr missing;
    bool listens = addresses.empty();
    for (const Address& address : addresses) {
        try {
            listeners.push_back(listen_on(address, options));
            listens = true;
        } catch (const OsError& error) {
            if (!is_not_of_this_machine(error.error())) throw;
            missing = std::current_exception();
        }
    }
    if (!listens) std::rethrow_exception(missing);
}

}  // namespace

/// An error in the middle leaves nothing: the sockets that listen already are closed with the list.
Coro<std::vector<Listener>> listen_on_hosts(std::vector<std::string> hosts, int port,
                                            ServerOptions options) {
    const ListenOptions listen{options.backlog, options.reuse_address, options.reuse_port};
    const AddressHints hints{.family = options.family, .type = SOCK_STREAM, .flags = AI_PASSIVE};
    std::vector<Listener> listeners;
    std::vector<Address> known;
    for (const std::string& host : hosts) {
        const std::vector<AddressInfo> found = co_await getaddrinfo(host, port, hints);
        listen_on_host(listeners, new_addresses(found, known), listen);
    }
    co_return listeners;
}

namespace {

/// Finds the identity of the file, which exists from the bind on, before the socket listens: no
/// client can have replaced it by then.
Coro<void> begin_to_listen(Listener& listener, const std::string& path, int backlog) {
    struct statx about{};
    const int found = path.empty() ? -ENOENT : co_await look_at(path, about);
    if (found == 0) listener.file = {path, device_of(about), about.stx_ino};
    listener.socket.listen(backlog);
}

}  // namespace

/// A cancellation or an error behind the bind would leave the file. No client has connected yet, so
/// it is removed without a look.
Coro<Listener> listen_at(std::string path, int backlog, bool cleanup) {
    const Address address = Address::local(path);
    const bool has_file = path.front() != '\0';
    co_await remove_old_socket(path);
    Listener listener{Socket(AF_UNIX, SOCK_STREAM), address, {}};
    listener.socket.bind(address);
    const std::string own_file = has_file && cleanup ? path : std::string();
    const Outcome<void> listening = co_await settle(begin_to_listen(listener, own_file, backlog));
    if (listening.failed() && has_file) co_await remove_file(path);
    listening.value();
    co_return listener;
}

Coro<void> remove_old_socket(const std::string& path) {
    if (path.empty() || path.front() == '\0') co_return;
    struct statx about{};
    const int found = co_await look_at(path, about);
    if (found == 0 && S_ISSOCK(about.stx_mode)) co_await remove_file(path);
}

Coro<void> remove_socket_file(SocketFile file) {
    struct statx about{};
    const int found = co_await look_at(file.path, about);
    const bool is_ours =
        found == 0 && about.stx_ino == file.inode && device_of(about) == file.device;
    if (is_ours) co_await remove_file(file.path);
}

}  // namespace asyncio::internal
