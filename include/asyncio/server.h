#pragma once
// Servers: listening sockets, and a task for each connection.
//
//     Coro<> echo(StreamReader reader, StreamWriter writer) {
//         for (std::string line; !(line = co_await reader.readline()).empty();)
//             co_await writer.send(std::move(line));
//     }
//     …
//     Server server = co_await asyncio::start_server(echo, "127.0.0.1", 8080);
//     co_await server.serve_forever();
//
// The task of a handler belongs to its server. So a server can be asked how many connections it
// has, and it can end them: when it is destroyed, no connection and no task of it is left.
//
// A connection ends when its handler has returned and everything that it has written is sent. The
// handler need not close its stream, which is closed when it is destroyed. (In Python the
// connection stays open until the program closes it.) An exception of a handler goes to the loop's
// exception handler.
//
// When the process has no descriptors left, the server goes on with the connections that it has. It
// logs the reason, and tries to accept again when a connection ends, and at least once a second.
//
// The ways to end a server
//   close             accepts no more; the connections go on
//   close_clients     closes the connections when their bytes are sent; their readers see the end
//   abort_clients     closes them at once
//   shutdown(grace)   all of it in the right order, within a time
//   ~Server           close, abort_clients, and a cancellation of every handler
//
// Thread-safety: loop thread only. A server on several threads: `thread_server.h`.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/internal/base/ref.h>
#include <asyncio/internal/base/unique_function.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/socket.h>
#include <asyncio/stream.h>
#include <asyncio/streams.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

/// How a server listens.
struct ServerOptions {
    /// As in `StreamOptions`, for the stream of each connection.
    std::size_t limit = default_stream_limit_bytes;
    /// How many connections may wait in the kernel to be accepted.
    int backlog = 100;
    /// AF_INET or AF_INET6: only addresses of this family are used. 0: both.
    int family = 0;
    /// Whether an address may be used that an earlier server has just left (SO_REUSEADDR).
    bool reuse_address = true;
    /// Whether several sockets may listen on the same address (SO_REUSEPORT). The kernel then gives
    /// each connection to one of them.
    bool reuse_port = false;
    /// Whether idle connections are probed (SO_KEEPALIVE), so that a peer that has vanished is
    /// noticed.
    bool keep_alive = false;
    /// Whether small writes are sent at once (TCP_NODELAY). Python sets it always.
    bool no_delay = true;
    /// Whether the server accepts at once. Otherwise `start_serving` begins it.
    bool start_serving = true;
    /// How many connections may be open. When there are as many, the server accepts no further
    /// ones, and they wait in the kernel.
    std::size_t max_connections = std::numeric_limits<std::size_t>::max();
    /// For how long the end of `serve_forever` waits for the handlers.
    Delay grace = std::chrono::seconds(10);
};

/// How a server listens at a path.
struct UnixServerOptions {
    std::size_t limit = default_stream_limit_bytes;
    int backlog = 100;
    bool start_serving = true;
    std::size_t max_connections = std::numeric_limits<std::size_t>::max();
    Delay grace = std::chrono::seconds(10);
    /// Whether the file of the socket is removed when the server closes, if it is still the
    /// server's own.
    bool cleanup_socket = true;
};

class Server;

namespace internal {

class ServerState;
struct Listener;

/// What a server does with a connection.
struct ClientHandler {
    UniqueFunction<Coro<void>(Stream)> handle;
    /// Makes the stream that the handler gets. Empty: the handler gets the plain one.
    UniqueFunction<Coro<Stream>(Stream)> upgrade = {};
};

Coro<Server> serve(ClientHandler handler, std::vector<std::string> hosts, int port,
                   ServerOptions options);
Coro<Server> serve_at(ClientHandler handler, std::string path, UnixServerOptions options);
Coro<Server> serve_socket(ClientHandler handler, Socket socket, ServerOptions options);
/// A server of `loop`, which runs, on sockets that listen.
Server serve_listening(EventLoop& loop, ClientHandler handler, std::vector<Listener> listeners,
                       const ServerOptions& options);

template <class Handler>
concept TakesStream = std::invocable<Handler&, Stream>;
template <class Handler>
concept TakesPair = std::invocable<Handler&, StreamReader, StreamWriter>;

/// A handler that is a plain function, like one that starts a task of its own.
inline Coro<void> nothing_to_await() { co_return; }

/// Any handler as a function from a stream to a coroutine. The closure stays where it is as long as
/// the server's state lives, so a coroutine that is a lambda may refer to it.
template <class Handler>
ClientHandler client_handler(Handler&& handler) {
    return {[kept = std::decay_t<Handler>(std::forward<Handler>(handler))](
                Stream stream) mutable -> Coro<void> {
        const auto call = [&]() -> decltype(auto) {
            if constexpr (TakesStream<std::decay_t<Handler>>) {
                return std::invoke(kept, std::move(stream));
            } else {
                return std::invoke(kept, std::move(stream.reader), std::move(stream.writer));
            }
        };
        if constexpr (std::is_void_v<decltype(call())>) {
            call();
            return nothing_to_await();
        } else {
            return call();
        }
    }};
}
template <class Handler, class Upgrade>
ClientHandler client_handler(Handler&& handler, Upgrade&& upgrade) {
    ClientHandler made = client_handler(std::forward<Handler>(handler));
    made.upgrade = std::forward<Upgrade>(upgrade);
    return made;
}

}  // namespace internal

/// A function that handles a connection: it takes a `Stream`, or a `StreamReader` and a
/// `StreamWriter`, and is a coroutine or a plain function.
template <class Handler>
concept ConnectionHandler =
    internal::TakesStream<std::decay_t<Handler>> || internal::TakesPair<std::decay_t<Handler>>;

/// A coroutine that takes the plain stream of a new connection and returns the stream for the
/// handler: the handshake of TLS, for example.
template <class Upgrade>
concept ConnectionUpgrade = std::is_invocable_r_v<Coro<Stream>, std::decay_t<Upgrade>&, Stream>;

/// A server. Move-only; made by `start_server`. An empty one throws RuntimeError when it is used.
/// Python: `asyncio.Server`.
class Server {
public:
    /// Refers to no server.
    Server() noexcept;
    explicit Server(internal::Ref<internal::ServerState> state) noexcept;
    Server(Server&& other) noexcept;
    Server& operator=(Server&& other) noexcept;
    /// Closes the server, aborts its connections and cancels their handlers. Does not wait: the
    /// handlers end in the next iterations of the loop.
    ~Server();

    explicit operator bool() const noexcept;

    /// The addresses on which the server listens. Empty after `close`. Python: `Server.sockets`.
    std::vector<Address> addresses() const;
    /// The port of the first address: the one that the system has chosen for port 0. 0 if there is
    /// none.
    std::uint16_t port() const;
    /// The descriptors of the listening sockets, which stay the server's.
    std::vector<int> fds() const;

    /// Begins to accept. No effect if the server accepts already.
    /// Throws: RuntimeError after `close`; OsError.
    void start_serving() const;
    bool is_serving() const;
    /// How many connections are open.
    std::size_t connections() const;

    /// Accepts no more connections, and closes the listening sockets. Connections that the kernel
    /// has accepted and the server has not are reset. Closing twice is allowed.
    void close() const;
    /// Closes every connection when its bytes are sent. The reads of the handlers see the end of
    /// the stream.
    void close_clients() const;
    /// Closes every connection at once.
    void abort_clients() const;

    /// Waits until the server is closed and its last connection has ended. Does not close it.
    /// Cancellation: a cancellation point if it must wait; nothing else changes.
    Coro<void> wait_closed() const;

    /// Accepts connections until the task is cancelled or the server is closed.
    ///
    /// At the end the server accepts no more, and closes its connections: see `shutdown`, with
    /// `ServerOptions::grace`.
    /// Throws: CancelledError; RuntimeError if it is called twice.
    /// Python: `Server.serve_forever`; there idle connections can keep the end waiting for ever.
    Coro<void> serve_forever() const;

    /// Ends the server: closes it, and waits until all handlers have ended. After half of `grace`
    /// the connections that are left are closed, so that readers see the end. After all of it the
    /// handlers are cancelled, and the connections aborted.
    ///
    /// Returns whether everything has ended by itself within `grace`.
    /// Cancellation: ends the patience: what is left is cancelled and aborted at once, and waited
    /// for.
    Coro<bool> shutdown(Delay grace) const;

private:
    friend Server internal::serve_listening(EventLoop&, internal::ClientHandler,
                                            std::vector<internal::Listener>, const ServerOptions&);
    friend Coro<Server> internal::serve_at(internal::ClientHandler, std::string, UnixServerOptions);
    internal::ServerState& state() const;

    internal::Ref<internal::ServerState> state_;
};

namespace no_adl {

/// Starts a server on a TCP port.
///
/// `host` is a name or a number; the empty text stands for every interface of this machine. A name
/// with several addresses gives several sockets; an address that this machine does not have is left
/// out if there is another one. An IPv6 socket takes connections of IPv6 alone, so
/// both families can use the same port. With port 0 the system chooses a port for each socket.
/// `handler` is called for each connection; see the top of the file. It is copied or moved, and
/// lives until the last connection has ended.
/// Throws: OsError if an address cannot be used, which it names; GaiError; `std::invalid_argument`
/// for a port that is not between 0 and 65535.
/// Python: `asyncio.start_server`.
template <ConnectionHandler Handler>
Coro<Server> start_server(Handler&& handler, std::string host, int port,
                          ServerOptions options = {}) {
    internal::require_safe_closure<Handler>();
    std::vector<std::string> hosts;
    hosts.push_back(std::move(host));
    return internal::serve(internal::client_handler(std::forward<Handler>(handler)),
                           std::move(hosts), port, options);
}
/// The same on several hosts. All or none: if one address cannot be used, nothing listens.
template <ConnectionHandler Handler>
Coro<Server> start_server(Handler&& handler, std::vector<std::string> hosts, int port,
                          ServerOptions options = {}) {
    internal::require_safe_closure<Handler>();
    return internal::serve(internal::client_handler(std::forward<Handler>(handler)),
                           std::move(hosts), port, options);
}

/// The same for connections that begin with a handshake: `upgrade` gets the stream of each new
/// connection, and returns the stream for the handler.
///
/// An empty stream refuses the connection without a report. An exception of `upgrade` is reported
/// as one of the handler. Until it has ended, `close_clients` and `abort_clients` cancel it.
/// `upgrade` is copied or moved, and lives as long as the handler.
template <ConnectionHandler Handler, ConnectionUpgrade Upgrade>
Coro<Server> start_server(Handler&& handler, std::string host, int port, ServerOptions options,
                          Upgrade&& upgrade) {
    internal::require_safe_closure<Handler>();
    internal::require_safe_closure<Upgrade>();
    std::vector<std::string> hosts;
    hosts.push_back(std::move(host));
    return internal::serve(
        internal::client_handler(std::forward<Handler>(handler), std::forward<Upgrade>(upgrade)),
        std::move(hosts), port, options);
}
/// The same on several hosts.
template <ConnectionHandler Handler, ConnectionUpgrade Upgrade>
Coro<Server> start_server(Handler&& handler, std::vector<std::string> hosts, int port,
                          ServerOptions options, Upgrade&& upgrade) {
    internal::require_safe_closure<Handler>();
    internal::require_safe_closure<Upgrade>();
    return internal::serve(
        internal::client_handler(std::forward<Handler>(handler), std::forward<Upgrade>(upgrade)),
        std::move(hosts), port, options);
}

/// Starts a server on a socket that is bound already: one that another process has handed over, or
/// one with options of its own. It listens after that, with `ServerOptions::backlog`.
///
/// Of the options, those for sockets that `start_server` makes (`family`, `reuse_address`,
/// `reuse_port`) have no effect. The server owns the socket, and not the file of a Unix socket.
/// Throws: OsError; `std::invalid_argument` if it is not a stream socket; RuntimeError if no loop
/// runs.
/// Python: `asyncio.start_server(handler, sock=…)`.
template <ConnectionHandler Handler>
Coro<Server> start_server(Handler&& handler, Socket socket, ServerOptions options = {}) {
    internal::require_safe_closure<Handler>();
    return internal::serve_socket(internal::client_handler(std::forward<Handler>(handler)),
                                  std::move(socket), options);
}

/// Starts a server on a Unix socket at `path`; an abstract name begins with a NUL.
///
/// A socket that an earlier server has left at the path is replaced. Any other file there makes
/// this fail.
/// Throws: OsError, which names the path; `std::invalid_argument` if the path is empty or too long.
/// Python: `asyncio.start_unix_server`.
template <ConnectionHandler Handler>
Coro<Server> start_unix_server(Handler&& handler, std::string path,
                               UnixServerOptions options = {}) {
    internal::require_safe_closure<Handler>();
    return internal::serve_at(internal::client_handler(std::forward<Handler>(handler)),
                              std::move(path), options);
}
/// The same for connections that begin with a handshake.
template <ConnectionHandler Handler, ConnectionUpgrade Upgrade>
Coro<Server> start_unix_server(Handler&& handler, std::string path, UnixServerOptions options,
                               Upgrade&& upgrade) {
    internal::require_safe_closure<Handler>();
    internal::require_safe_closure<Upgrade>();
    return internal::serve_at(
        internal::client_handler(std::forward<Handler>(handler), std::forward<Upgrade>(upgrade)),
        std::move(path), options);
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
