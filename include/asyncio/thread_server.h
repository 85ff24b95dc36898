#pragma once
// A server on several threads: a loop on each of them, and all of them on one port.
//
//     Coro<> echo(StreamReader reader, StreamWriter writer) { … }
//
//     int main() { asyncio::run(asyncio::serve_on_threads(echo, "127.0.0.1", 8080)); }
//
// One loop uses one processor. For a service that needs more, each thread has a loop, a copy of the
// handler, and listening sockets of its own on the same addresses (SO_REUSEPORT). The kernel gives
// each connection to one of the threads, where it stays. So nothing is shared between the threads,
// and the code of a handler is that of a server on one thread. What the handler refers to outside
// itself is shared, and needs the care that threads need.
//
// The kernel chooses the thread by the addresses of the connection and not by load: a few
// connections may meet on one thread, and many are spread evenly.
//
// In a simulated world all of it runs on the one loop of the world, with one handler. So a test of
// the program is deterministic, and its service is the same.
//
// Thread-safety: loop thread only, for the functions here. Handlers run on the threads.

#include <asyncio/server.h>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

/// How a server on several threads is made.
struct ThreadServerOptions {
    /// How many threads serve. 0: as many as there are processors that this process may use.
    std::size_t threads = 0;
    /// How each thread listens. `max_connections` holds for each thread by itself. `reuse_port` is
    /// switched on.
    ServerOptions server = {};
};

class ThreadServer;

namespace internal {

struct ThreadServerState;

/// Makes the handler of a thread.
using HandlerFactory = UniqueFunction<ClientHandler()>;

Coro<ThreadServer> serve_threads(HandlerFactory handlers, std::string host, int port,
                                 ThreadServerOptions options);
Coro<void> serve_threads_forever(HandlerFactory handlers, std::string host, int port,
                                 ThreadServerOptions options);

/// Keeps the parts of a handler, and makes a handler of copies of them for each thread.
template <class... Parts>
HandlerFactory handlers_from(Parts&&... parts) {
    (require_safe_closure<Parts>(), ...);
    return [... kept = std::decay_t<Parts>(std::forward<Parts>(parts))] {
        return client_handler(kept...);
    };
}

}  // namespace internal

/// A handler of connections that each thread can have a copy of.
template <class Handler>
concept CopyableConnectionHandler =
    ConnectionHandler<Handler> && std::copy_constructible<std::decay_t<Handler>>;

/// A server on several threads. Move-only; made by `start_server_on_threads`. An empty one throws
/// RuntimeError when it is used.
class ThreadServer {
public:
    /// Refers to no server.
    ThreadServer() noexcept;
    explicit ThreadServer(std::shared_ptr<internal::ThreadServerState> state) noexcept;
    ThreadServer(ThreadServer&& other) noexcept;
    ThreadServer& operator=(ThreadServer&& other) noexcept;
    /// Ends the server at once: connections are aborted, handlers cancelled. Blocks until the
    /// threads have ended, because they use what the handlers refer to. After `shutdown` nothing is
    /// left to wait for.
    ~ThreadServer();

    explicit operator bool() const noexcept { return state_ != nullptr; }

    /// The addresses on which every thread listens. They stay known after the end.
    const std::vector<Address>& addresses() const;
    /// The port of the first address: the one that the system has chosen for port 0.
    std::uint16_t port() const;
    /// How many threads serve. 1 in a simulated world.
    std::size_t threads() const;

    /// Waits until the task is cancelled, or until the server has ended, and then ends the server
    /// as `shutdown`, with `ServerOptions::grace`. Connections are closed at the beginning of the
    /// grace, as by `Server::serve_forever`.
    /// Throws: CancelledError; the error of a thread that could not go on.
    Coro<void> serve_forever() const;

    /// Ends the server on all threads, as `Server::shutdown` does on one.
    ///
    /// Returns whether everything has ended by itself within `grace`. A second call waits for the
    /// same end, and its `grace` has no effect.
    /// Cancellation: ends the patience: what is left is cancelled and aborted at once, and waited
    /// for.
    Coro<bool> shutdown(Delay grace) const;

private:
    const std::shared_ptr<internal::ThreadServerState>& state() const;

    std::shared_ptr<internal::ThreadServerState> state_;
};

namespace no_adl {

/// Starts a server on several threads; the parameters are those of `start_server`. `handler` is
/// copied for each thread, on the calling thread. When this returns, every thread accepts.
/// Throws: as `start_server`; RuntimeError if a thread cannot be started. Nothing listens then.
template <CopyableConnectionHandler Handler>
Coro<ThreadServer> start_server_on_threads(Handler&& handler, std::string host, int port,
                                           ThreadServerOptions options = {}) {
    return internal::serve_threads(internal::handlers_from(std::forward<Handler>(handler)),
                                   std::move(host), port, options);
}
/// The same for connections that begin with a handshake. `upgrade` is copied for each thread, too.
template <CopyableConnectionHandler Handler, ConnectionUpgrade Upgrade>
    requires std::copy_constructible<std::decay_t<Upgrade>>
Coro<ThreadServer> start_server_on_threads(Handler&& handler, std::string host, int port,
                                           ThreadServerOptions options, Upgrade&& upgrade) {
    return internal::serve_threads(
        internal::handlers_from(std::forward<Handler>(handler), std::forward<Upgrade>(upgrade)),
        std::move(host), port, options);
}

/// Serves on several threads until the task is cancelled: `start_server_on_threads`, and
/// `serve_forever`.
template <CopyableConnectionHandler Handler>
Coro<void> serve_on_threads(Handler&& handler, std::string host, int port,
                            ThreadServerOptions options = {}) {
    return internal::serve_threads_forever(internal::handlers_from(std::forward<Handler>(handler)),
                                           std::move(host), port, options);
}
/// The same for connections that begin with a handshake.
template <CopyableConnectionHandler Handler, ConnectionUpgrade Upgrade>
    requires std::copy_constructible<std::decay_t<Upgrade>>
Coro<void> serve_on_threads(Handler&& handler, std::string host, int port,
                            ThreadServerOptions options, Upgrade&& upgrade) {
    return internal::serve_threads_forever(
        internal::handlers_from(std::forward<Handler>(handler), std::forward<Upgrade>(upgrade)),
        std::move(host), port, options);
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
