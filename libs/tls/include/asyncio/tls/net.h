#pragma once
// Connections and servers with TLS over TCP and Unix sockets: the functions of the core, with a
// handshake behind.
//
//     Stream stream = co_await tls::open_connection("example.org", 443);
//
// In Python these are the arguments `ssl`, `server_hostname` and the two limits of
// `asyncio.open_connection` and `asyncio.start_server`. Here they are functions of this library, so
// that a program without TLS links with no OpenSSL.

#include <asyncio/connection.h>
#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/server.h>
#include <asyncio/stream.h>
#include <asyncio/thread_server.h>
#include <asyncio/tls/channel.h>
#include <asyncio/tls/context.h>
#include <asyncio/tls/stream.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::tls {

/// How a connection with TLS is opened.
struct ConnectOptions {
    /// Of TLS. The name of the server is that of the host, unless it is given here.
    TlsOptions tls = {};
    /// Of the connection below. `limit` is that of the stream with TLS.
    asyncio::ConnectOptions connection = {};
};

/// Connects to `host` over TCP, and makes the handshake. The certificate must be for the host, or
/// for the name in the options. A session of an earlier connection to the same host and port is
/// resumed.
///
/// The options are checked by the call itself; their views need not live longer.
/// Throws: `std::invalid_argument` if `context` is empty or for servers, or for bad options. When
/// awaited: as `asyncio::open_connection`; CertificateError, TlsError and OsError of the handshake;
/// TimeoutError after `tls.handshake_timeout`. There is no limit for the connection below; use
/// `timeout`.
/// Cancellation: no connection is left open.
/// Python: `asyncio.open_connection(host, port, ssl=context)`.
Coro<Stream> open_connection(std::string host, int port, const Context& context,
                             const ConnectOptions& options = {});
/// The same with `default_client_context()`. Python: `ssl=True`.
Coro<Stream> open_connection(std::string host, int port, const ConnectOptions& options = {});

/// Connects to the Unix socket at `path`, and makes the handshake. A path is no name that stands in
/// a certificate, so `tls.server_hostname` says for which name the certificate has to be, unless
/// the context does not check it. A session of an earlier connection to the path is resumed.
///
/// Throws: `std::invalid_argument`, also without a name; otherwise as `open_connection`, and as
/// `asyncio::open_unix_connection`.
/// Cancellation: no connection is left open.
/// Python: `asyncio.open_unix_connection(path, ssl=context, server_hostname=name)`.
Coro<Stream> open_unix_connection(std::string path, const Context& context,
                                  const ConnectOptions& options);

/// How a server with TLS listens.
struct ServerOptions {
    /// Of TLS. `server_hostname` and `session_key` must be empty.
    TlsOptions tls = {};
    asyncio::ServerOptions server = {};
};

/// How a server with TLS listens at a path.
struct UnixServerOptions {
    TlsOptions tls = {};
    asyncio::UnixServerOptions server = {};
};

/// The handshakes of a server: the `upgrade` that `asyncio::start_server` takes. For servers whose
/// sockets are not made by the function below.
///
/// A handshake that fails is the client's affair, and refuses the connection. In debug mode it goes
/// to the exception handler of the loop.
class ServerHandshake {
public:
    /// Throws: `std::invalid_argument` if `context` is empty or for clients, or for bad options.
    ServerHandshake(const Context& context, const TlsOptions& options = {},
                    std::size_t stream_limit = default_stream_limit_bytes);
    Coro<Stream> operator()(Stream plain) const;

private:
    Context context_;
    Delay handshake_timeout_;
    Delay shutdown_timeout_;
    std::size_t stream_limit_;
};

/// Starts a server on a TCP port. Each connection begins with a handshake, and the handler gets the
/// stream behind it. Clients whose handshake fails, or takes too long, do not reach the handler and
/// do not disturb the others.
///
/// Throws: `std::invalid_argument`, as `ServerHandshake`; when awaited as `asyncio::start_server`.
/// Python: `asyncio.start_server(handler, host, port, ssl=context)`.
template <ConnectionHandler Handler>
Coro<Server> start_server(Handler&& handler, std::string host, int port, const Context& context,
                          const ServerOptions& options = {}) {
    const ServerHandshake handshake(context, options.tls, options.server.limit);
    return asyncio::start_server(std::forward<Handler>(handler), std::move(host), port,
                                 options.server, handshake);
}
/// The same on several hosts. All or none: if one address cannot be used, nothing listens.
template <ConnectionHandler Handler>
Coro<Server> start_server(Handler&& handler, std::vector<std::string> hosts, int port,
                          const Context& context, const ServerOptions& options = {}) {
    const ServerHandshake handshake(context, options.tls, options.server.limit);
    return asyncio::start_server(std::forward<Handler>(handler), std::move(hosts), port,
                                 options.server, handshake);
}

/// How a server with TLS listens on several threads.
struct ThreadServerOptions {
    TlsOptions tls = {};
    asyncio::ThreadServerOptions server = {};
};

/// Starts a server on several threads, which share the context and with it the sessions.
///
/// Throws: `std::invalid_argument`, as `ServerHandshake`; when awaited as
/// `asyncio::start_server_on_threads`.
template <CopyableConnectionHandler Handler>
Coro<ThreadServer> start_server_on_threads(Handler&& handler, std::string host, int port,
                                           const Context& context,
                                           const ThreadServerOptions& options = {}) {
    const ServerHandshake handshake(context, options.tls, options.server.server.limit);
    return asyncio::start_server_on_threads(std::forward<Handler>(handler), std::move(host), port,
                                            options.server, handshake);
}

/// Serves on several threads until the task is cancelled; otherwise as `start_server_on_threads`.
template <CopyableConnectionHandler Handler>
Coro<void> serve_on_threads(Handler&& handler, std::string host, int port, const Context& context,
                            const ThreadServerOptions& options = {}) {
    const ServerHandshake handshake(context, options.tls, options.server.server.limit);
    return asyncio::serve_on_threads(std::forward<Handler>(handler), std::move(host), port,
                                     options.server, handshake);
}

/// Starts a server on the Unix socket at `path`; otherwise as `start_server`.
///
/// Throws: `std::invalid_argument`, as `ServerHandshake`; when awaited as
/// `asyncio::start_unix_server`.
/// Python: `asyncio.start_unix_server(handler, path, ssl=context)`.
template <ConnectionHandler Handler>
Coro<Server> start_unix_server(Handler&& handler, std::string path, const Context& context,
                               const UnixServerOptions& options = {}) {
    const ServerHandshake handshake(context, options.tls, options.server.limit);
    return asyncio::start_unix_server(std::forward<Handler>(handler), std::move(path),
                                      options.server, handshake);
}

}  // namespace asyncio::tls
