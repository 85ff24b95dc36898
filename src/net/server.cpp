// `start_server`, and the handle of a server.
//
// A server is made in four steps: the names become addresses, each address becomes a socket that
// listens, the state takes the sockets over, and an accepting task starts for each of them. An
// error in any step leaves nothing behind: the list of sockets, and later the handle, owns what
// there is. A server on several threads makes the last two steps on each of them.
//
// Two functions end a server for the program, `shutdown` and the end of `serve_forever`; they
// differ in their patience alone. The destructor of the handle is the third, and waits for nothing.
//
// The end of a server, `end_server`, is a scope of its own (`finally_`): the patient part waits,
// and can be cancelled; the part behind it ends what is left, and cannot. When everything has ended
// by itself, the second part finds nothing to do.

#include <asyncio/server.h>

#include <asyncio/finally.h>
#include <asyncio/timeout.h>

#include "net/server_state.h"
#include "streams/socket_facts.h"

#include <stdexcept>

#include <sys/socket.h>

namespace asyncio {
namespace internal {
namespace {

/// Without a handle of the program the state ends what it has begun, and then itself.
Server server_of(EventLoop& loop, ClientHandler handler, const ServerLimits& limits) {
    return Server(Ref<ServerState>::adopt(new ServerState(loop, std::move(handler), limits)));
}

ServerLimits limits_of(const ServerOptions& options) {
    return {.stream_limit = options.limit,
            .max_connections = options.max_connections,
            .grace = options.grace,
            .no_delay = options.no_delay,
            .keep_alive = options.keep_alive};
}

}  // namespace

Server serve_listening(EventLoop& loop, ClientHandler handler, std::vector<Listener> listeners,
                       const ServerOptions& options) {
    Server server = server_of(loop, std::move(handler), limits_of(options));
    for (Listener& listener : listeners) server.state().add(std::move(listener));
    if (options.start_serving) server.start_serving();
    return server;
}

/// Every socket listens before the first one accepts, so no client is served by a server that fails
/// to start.
Coro<Server> serve(ClientHandler handler, std::vector<std::string> hosts, int port,
                   ServerOptions options) {
    EventLoop& loop = running_loop("asyncio::start_server()");
    std::vector<Listener> listeners = co_await listen_on_hosts(std::move(hosts), port, options);
    co_return serve_listening(loop, std::move(handler), std::move(listeners), options);
}

/// The file of a Unix socket stays: the code that has bound it knows what it is for.
Coro<Server> serve_socket(ClientHandler handler, Socket socket, ServerOptions options) {
    EventLoop& loop = running_loop("asyncio::start_server()");
    const bool is_stream = socket.getsockopt(SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
    if (!is_stream) throw std::invalid_argument("start_server: the socket is not a stream socket");
    socket.listen(options.backlog);
    const Address address = socket.getsockname();
    std::vector<Listener> listeners;
    const bool speaks_tcp = is_tcp(loop, socket.fileno());
    listeners.push_back({.socket = std::move(socket), .address = address, .is_tcp = speaks_tcp});
    co_return serve_listening(loop, std::move(handler), std::move(listeners), options);
}

/// A Unix socket has no port to find, and one address.
Coro<Server> serve_at(ClientHandler handler, std::string path, UnixServerOptions options) {
    if (path.empty()) throw std::invalid_argument("start_unix_server: the path is empty");
    EventLoop& loop = running_loop("asyncio::start_unix_server()");
    const ServerLimits limits{.stream_limit = options.limit,
                              .max_connections = options.max_connections,
                              .grace = options.grace,
                              .no_delay = false,
                              .keep_alive = false};
    Server server = server_of(loop, std::move(handler), limits);
    Listener listener =
        co_await listen_at(std::move(path), options.backlog, options.cleanup_socket);
    server.state().add(std::move(listener));
    if (options.start_serving) server.start_serving();
    co_return server;
}

}  // namespace internal

// --- The handle ---------------------------------------------------------------------------------

Server::Server() noexcept = default;
Server::Server(internal::Ref<internal::ServerState> state) noexcept : state_(std::move(state)) {}
Server::Server(Server&& other) noexcept = default;

/// The server that the handle referred to ends, as if the handle had been destroyed.
Server& Server::operator=(Server&& other) noexcept {
    if (this == &other) return *this;
    if (state_) state_->drop();
    state_ = std::move(other.state_);
    return *this;
}

Server::~Server() {
    if (state_) state_->drop();
}

Server::operator bool() const noexcept { return static_cast<bool>(state_); }

internal::ServerState& Server::state() const {
    if (!state_) internal::throw_empty("Server");
    return *state_;
}

std::vector<Address> Server::addresses() const {
    std::vector<Address> addresses;
    if (state().is_closed()) return addresses;
    for (const internal::Listener& listener : state().listeners())
        addresses.push_back(listener.address);
    return addresses;
}

std::uint16_t Server::port() const {
    const std::vector<Address> all = addresses();
    return all.empty() ? 0 : all.front().port();
}

std::vector<int> Server::fds() const {
    std::vector<int> fds;
    if (state().is_closed()) return fds;
    for (const internal::Listener& listener : state().listeners())
        fds.push_back(listener.socket.fileno());
    return fds;
}

void Server::start_serving() const { state().start(); }

bool Server::is_serving() const { return state().is_serving(); }

std::size_t Server::connections() const { return state().count(); }

void Server::close() const { state().close(); }

void Server::close_clients() const { state().close_clients(); }

void Server::abort_clients() const { state().abort_clients(); }

// --- The end ------------------------------------------------------------------------------------

namespace internal {
namespace {

/// The coroutines hold the state: the handle may be destroyed while they wait.
using StateRef = Ref<ServerState>;

/// One event stands for all changes, so the condition is asked again after each.
Coro<void> wait_for_end(StateRef server) {
    while (!server->has_ended()) co_await server->changed();
}

/// Returns whether the server has ended within `limit`. A handler that is busy, or a peer that does
/// not read, makes it last longer.
Coro<bool> ends_within(StateRef server, Duration limit) {
    const auto end = [&]() -> Coro<void> { co_await wait_for_end(server); };
    const bool cut_short = co_await move_on_after(limit, end);
    co_return !cut_short;
}

/// The cancellation reaches handlers that wait, and the abort those that wait for their peer. A
/// handler that ignores both keeps the server waiting, as a task of a task group would.
Coro<void> end_by_force(StateRef server) {
    server->cancel_handlers();
    server->abort_clients();
    co_await wait_for_end(server);
}

/// `patience` is how long connections may go on before they are closed, and `grace` how long the
/// handlers may run after that.
Coro<bool> end_server(StateRef server, Duration patience, Duration grace) {
    server->close();
    bool has_ended = false;
    const auto wait = [&]() -> Coro<void> {
        has_ended = co_await ends_within(server, patience);
        if (has_ended) co_return;
        server->close_clients();
        has_ended = co_await ends_within(server, grace);
    };
    const auto force = [&]() -> Coro<void> { co_await end_by_force(server); };
    co_await finally_(wait, force);
    co_return has_ended;
}

/// A program that awaits this twice has two owners for one server, and each would end it for the
/// other.
Coro<void> serve_until_the_end(StateRef server) {
    if (std::exchange(server->is_awaited, true))
        throw RuntimeError("serve_forever() was called twice");
    server->start();
    const auto until_closed = [&]() -> Coro<void> {
        while (!server->is_closed()) co_await server->changed();
    };
    const auto end = [&]() -> Coro<void> {
        co_await end_server(server, Duration::zero(), server->limits().grace);
    };
    co_await finally_(until_closed, end);
}

}  // namespace
}  // namespace internal

Coro<void> Server::wait_closed() const {
    return internal::wait_for_end(internal::StateRef::share(&state()));
}

/// Half of the time is for handlers that end by themselves. The other half is for those that wait
/// for their client: they see the end of the stream.
Coro<bool> Server::shutdown(Delay grace) const {
    const Duration half = Duration(grace) / 2;
    return internal::end_server(internal::StateRef::share(&state()), half, half);
}

Coro<void> Server::serve_forever() const {
    return internal::serve_until_the_end(internal::StateRef::share(&state()));
}

}  // namespace asyncio
