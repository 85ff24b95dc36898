#include "engine/session_cache.h"

#include <ctime>
#include <new>
#include <utility>

namespace asyncio::tls::engine {
namespace {

/// More tickets of one server than this are not kept. So many connections to a server can begin at
/// the same time and all be resumed.
constexpr std::size_t most_sessions_of_a_server = 8;

/// OpenSSL would notice an old session itself, after it has been sent to the server.
bool is_usable(const SSL_SESSION* session) noexcept {
    const auto age = static_cast<long>(std::time(nullptr) - SSL_SESSION_get_time(session));
    return SSL_SESSION_is_resumable(session) == 1 && age >= 0 &&
           age < SSL_SESSION_get_timeout(session);
}

}  // namespace

/// The newest session is the best one: it lives longest, and its secrets were never used.
SessionPtr SessionCache::take(std::string_view key) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    const Servers::iterator server = found->second;
    servers_.splice(servers_.begin(), servers_, server);
    SessionPtr session;
    while (session == nullptr && !server->sessions.empty()) {
        session = std::move(server->sessions.back());
        server->sessions.pop_back();
        if (!is_usable(session.get())) session.reset();
    }
    if (session != nullptr && SSL_SESSION_get_protocol_version(session.get()) < TLS1_3_VERSION) {
        // The vector has room for it: the session has just left its place there.
        SSL_SESSION_up_ref(session.get());
        server->sessions.emplace_back(session.get());
    }
    if (server->sessions.empty()) drop(server);
    return session;
}

/// The place for the sessions is reserved with the server, so `take` can put one back without an
/// allocation.
void SessionCache::put(const std::string& key, SessionPtr session) noexcept {
    if (most_servers_ == 0 || !is_usable(session.get())) return;
    try {
        const std::lock_guard lock(mutex_);
        const auto found = by_key_.find(key);
        if (found != by_key_.end()) {
            servers_.splice(servers_.begin(), servers_, found->second);
        } else {
            servers_.push_front({key, {}});
            servers_.front().sessions.reserve(most_sessions_of_a_server);
            by_key_.emplace(servers_.front().key, servers_.begin());
        }
        std::vector<SessionPtr>& sessions = servers_.front().sessions;
        if (sessions.size() >= most_sessions_of_a_server) sessions.erase(sessions.begin());
        sessions.push_back(std::move(session));
        while (servers_.size() > most_servers_) drop(std::prev(servers_.end()));
    } catch (const std::bad_alloc&) {
        // The next connection has a full handshake. An element without an entry in the table goes
        // when the cache is full.
    }
}

void SessionCache::forget(std::string_view key) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found != by_key_.end()) drop(found->second);
}

/// The key lies in the element, so the entry of the table goes first.
void SessionCache::drop(Servers::iterator server) noexcept {
    const auto found = by_key_.find(server->key);
    if (found != by_key_.end() && found->second == server) by_key_.erase(found);
    servers_.erase(server);
}

}  // namespace asyncio::tls::engine
