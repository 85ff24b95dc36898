#pragma once
// The sessions of a client's context: what it needs to resume a connection to a server.
//
// A resumed handshake needs no certificates and half of the time. A key stands for one server: the
// name that was verified, and what else tells servers apart. A session is never used for another
// name, because its resumption verifies no certificate.
//
// A session of TLS 1.3 is a ticket, and used once: an observer could tell by a second use that two
// connections have the same client (RFC 8446, appendix C.4). Servers send two or more for this
// reason. A session of TLS 1.2 is used until it expires.
//
// The size is bounded by the number of servers; the server that was not used for the longest time
// goes first.
//
// Thread-safety: any thread.

#include "engine/handles.h"

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace asyncio::tls::engine {

class SessionCache {
public:
    explicit SessionCache(std::size_t most_servers) noexcept : most_servers_(most_servers) {}

    /// A session for the server, or null. One of TLS 1.3 is taken out.
    SessionPtr take(std::string_view key) noexcept;
    /// Adds a session. Without memory it is dropped.
    void put(const std::string& key, SessionPtr session) noexcept;
    /// The server has refused a session, or the connection has failed.
    void forget(std::string_view key) noexcept;

private:
    struct Server {
        std::string key;
        std::vector<SessionPtr> sessions;  ///< The newest last.
    };
    using Servers = std::list<Server>;

    void drop(Servers::iterator server) noexcept;

    std::mutex mutex_;
    /// The server that was used last is the first.
    Servers servers_;
    /// The keys lie in the elements of `servers_`, which do not move.
    std::unordered_map<std::string_view, Servers::iterator> by_key_;
    const std::size_t most_servers_;
};

}  // namespace asyncio::tls::engine
