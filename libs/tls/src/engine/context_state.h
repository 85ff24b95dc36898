#pragma once
// What stands behind a `Context`: OpenSSL's context, and what OpenSSL has no place for.
//
// Nothing changes after the context is made, with four exceptions that many threads may use at a
// time: the cache of sessions, the keys of tickets, the key log and the spare buffers.
//
// OpenSSL's context points back to this object (its application data), for the callbacks. So the
// object never moves, and an engine holds it as long as its connection lives.

#include <asyncio/tls/context.h>

#include "engine/handles.h"
#include "engine/key_log.h"
#include "engine/session_cache.h"
#include "engine/spare_buffers.h"
#include "engine/ticket_keys.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace asyncio::tls::engine {

struct ContextState {
    /// Everything that OpenSSL has a place for.
    ContextPtr ssl_context;
    bool is_server = false;
    Verify verify = Verify::required;
    bool check_hostname = true;
    bool demand_revocation_status = false;
    /// The protocols as ALPN writes them: each with its length in front.
    std::string protocols;
    /// For a server: the OCSP response that it sends.
    std::string revocation_status;
    /// For a client; null if it keeps none.
    std::unique_ptr<SessionCache> sessions;
    /// For a server; null if it gives no tickets.
    std::unique_ptr<TicketKeys> ticket_keys;
    std::unique_ptr<KeyLog> key_log;
    /// For the ciphertext of all connections.
    SpareBuffers spares;
    /// For a server: the contexts of other names, in small letters. A name that begins with "*."
    /// stands for all with one more label.
    std::map<std::string, std::shared_ptr<ContextState>, std::less<>> by_name;

    /// The context for a name that a client asks for; null if this one is to be used.
    ContextState* for_name(std::string_view name) const;

    /// The object behind a context of OpenSSL, for callbacks.
    static ContextState& of(SSL_CTX* context) noexcept {
        return *static_cast<ContextState*>(SSL_CTX_get_app_data(context));
    }
};

}  // namespace asyncio::tls::engine
