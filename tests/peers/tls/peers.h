#pragma once
// What the tests of TLS with foreign programs have in common: certificates in files, and contexts.

#include <asyncio/tls.h>

#include "certificates.h"
#include "peers/conversation.h"

namespace peers_test {

using tls_test::TemporaryFile;

/// What both sides need for a connection to "localhost" in both directions.
struct Credentials {
    TemporaryFile trusted;
    /// Certificates with their keys.
    TemporaryFile server;
    TemporaryFile client;
};
const Credentials& credentials();

tls::Context server_context(tls::ContextOptions options = {});
tls::Context client_context(tls::ContextOptions options = {});

/// For ALPN. The foreign programs know "echo/1", too.
inline constexpr std::string_view protocols[] = {"echo/1", "h2"};
/// How a connection of ours is opened.
inline constexpr tls::ConnectOptions to_localhost{.tls = {.server_hostname = "localhost"}};

/// What was found out about a connection.
struct Seen {
    std::uint64_t size = 0;
    bool good = false;
    tls::ConnectionInfo info;
    tls::End end = tls::End::open;
};

/// Waits for the end of the peer. A reset is a ragged one.
Coro<tls::End> end_of(const Stream& stream);

}  // namespace peers_test
