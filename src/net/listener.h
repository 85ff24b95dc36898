#pragma once
// A socket that listens: making it, and the file that a Unix socket leaves behind.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/server.h>
#include <asyncio/socket.h>

#include <cstdint>
#include <string>
#include <vector>

namespace asyncio::internal {

/// Which file a Unix socket has made. Nothing for other sockets, and for abstract names.
struct SocketFile {
    std::string path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
};

struct Listener {
    Socket socket;
    Address address;
    /// The file to remove at the end, if it is still this one.
    SocketFile file = {};
    bool is_tcp = address.is_ip();
};

/// The options of a listening socket; those of `ServerOptions` with the same names.
struct ListenOptions {
    int backlog;
    bool reuse_address;
    bool reuse_port;
};

/// Makes a socket that listens on an IPv4 or IPv6 address. Throws: OsError that names the address.
Listener listen_on(const Address& address, const ListenOptions& options);

/// Looks the hosts up and makes sockets that listen on their addresses. Connections wait in the
/// kernel until a server accepts them. Throws: as `start_server`; nothing listens then.
Coro<std::vector<Listener>> listen_on_hosts(std::vector<std::string> hosts, int port,
                                            ServerOptions options);

/// Makes a socket that listens at a path. An old socket at the path is replaced. Throws: OsError
/// that names the path.
Coro<Listener> listen_at(std::string path, int backlog, bool cleanup);

/// Removes the socket at `path` that an earlier program has left, so that the path can be bound.
/// Any other file stays. No effect on an abstract name.
Coro<void> remove_old_socket(const std::string& path);

/// Removes the file, unless it is gone, or another one by now. Errors are ignored: at the end of a
/// server there is no caller who could do better.
Coro<void> remove_socket_file(SocketFile file);

}  // namespace asyncio::internal
