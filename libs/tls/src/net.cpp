// TLS over sockets: first the connection of the core, then the handshake.

#include <asyncio/tls/net.h>

#include <asyncio/event_loop.h>
#include <asyncio/exceptions.h>

#include "engine/engine.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::tls {
namespace {

/// What would be found after the connection is made is found before it, where it costs nothing.
void check(const Context& context, const TlsOptions& options, bool for_server) {
    if (!context || context.is_server() != for_server)
        throw std::invalid_argument(for_server ? "tls: a server needs a context for servers"
                                               : "tls: a client needs a context for clients");
    if (options.handshake_timeout <= Delay() || options.shutdown_timeout <= Delay())
        throw std::invalid_argument("tls: handshake_timeout and shutdown_timeout must be positive");
    if (for_server && !(options.server_hostname.empty() && options.session_key.empty()))
        throw std::invalid_argument("tls: server_hostname and session_key are for clients");
}

/// The names are arguments, because the views of the options may not live as long.
Coro<Stream> connect(Coro<Stream> connection, Context context, ConnectOptions options,
                     std::string server_hostname, std::string session_key) {
    options.tls.server_hostname = server_hostname;
    options.tls.session_key = session_key;
    Stream plain = co_await std::move(connection);
    const StreamOptions stream_options{.limit = options.connection.limit};
    co_return co_await start_tls(std::move(plain), context, options.tls, stream_options);
}

}  // namespace

Coro<Stream> open_connection(std::string host, int port, const Context& context,
                             const ConnectOptions& options) {
    check(context, options.tls, false);
    std::string name(options.tls.server_hostname.empty() ? host : options.tls.server_hostname);
    std::string key(options.tls.session_key);
    if (key.empty()) key = std::to_string(port);
    return connect(asyncio::open_connection(std::move(host), port, options.connection), context,
                   options, std::move(name), std::move(key));
}

Coro<Stream> open_unix_connection(std::string path, const Context& context,
                                  const ConnectOptions& options) {
    check(context, options.tls, false);
    std::string name(options.tls.server_hostname);
    if (name.empty() && engine::Engine::needs_server_hostname(*context.state()))
        throw std::invalid_argument("tls: a connection to a path needs server_hostname, the name "
                                    "that the certificate is for");
    std::string key(options.tls.session_key.empty() ? path : options.tls.session_key);
    return connect(asyncio::open_unix_connection(std::move(path), options.connection), context,
                   options, std::move(name), std::move(key));
}

Coro<Stream> open_connection(std::string host, int port, const ConnectOptions& options) {
    return open_connection(std::move(host), port, default_client_context(), options);
}

ServerHandshake::ServerHandshake(const Context& context, const TlsOptions& options,
                                 std::size_t stream_limit)
    : context_(context),
      handshake_timeout_(options.handshake_timeout),
      shutdown_timeout_(options.shutdown_timeout),
      stream_limit_(stream_limit) {
    check(context, options, true);
}

/// The object lives as long as the server, and the server as long as its connections.
Coro<Stream> ServerHandshake::operator()(Stream plain) const {
    const TlsOptions options{.handshake_timeout = handshake_timeout_,
                             .shutdown_timeout = shutdown_timeout_};
    std::exception_ptr failure;
    try {
        co_return co_await start_tls(std::move(plain), context_, options,
                                     StreamOptions{.limit = stream_limit_});
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    EventLoop& loop = get_running_loop();
    if (loop.get_debug())
        loop.call_exception_handler({.message = "the TLS handshake of a client has failed",
                                     .exception = std::move(failure)});
    co_return Stream();
}

}  // namespace asyncio::tls
