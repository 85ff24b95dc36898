// Makes contexts out of options, and has the callbacks that OpenSSL calls for a context.
//
// A server chooses among its contexts when it has read the client's first message
// (`client_hello_came`), before it looks for the session that the client wants to resume. The usual
// callback for names comes later. With it, a client that one context has verified could resume its
// session with another one, which trusts other clients. Each context has an identity of its own
// (`set_identity`) that is sealed into its tickets, so a ticket resumes a session of this context
// only.
//
// What a connection takes from its context, and when. OpenSSL copies versions, the way to verify,
// the security level and the number of tickets when the connection is made, and reads the
// certificate, the trusted certificates, ALPN and the callbacks when it needs them. Nothing of this
// changes after the context is made, so a program need not know which is which. Only the change to
// another context must (`change_context`).

#include <asyncio/tls/context.h>

#include <asyncio/tls/errors.h>

#include "engine/context_state.h"
#include "engine/credentials.h"
#include "engine/engine.h"
#include "engine/revocation.h"

#include <climits>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include <openssl/rand.h>

namespace asyncio::tls {
namespace engine {
namespace {

int number_of(Version version) noexcept {
    return version == Version::tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

/// Names of hosts are ASCII, so the locale has no say.
std::string in_small_letters(std::string_view name) {
    std::string small(name);
    for (char& letter : small)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    return small;
}

// --- Callbacks ----------------------------------------------------------------------------------

/// OpenSSL gives away one reference to the session: 1 keeps it, 0 returns it.
int session_came(SSL* ssl, SSL_SESSION* session) noexcept {
    Engine::of(ssl).keep_session(session);
    return 1;
}

/// A chosen context has its own key log, or none.
void secret_came(const SSL* ssl, const char* line) noexcept {
    const ContextState& state = ContextState::of(SSL_get_SSL_CTX(ssl));
    if (state.key_log != nullptr) state.key_log->append(line);
}

/// Chooses by the server's order. `offered` is the client's list.
///
/// Without a protocol in common the handshake ends. A client that believes it speaks one protocol
/// must not talk to a server that believes another one: attacks have used that.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void* given) noexcept {
    const std::string& own = static_cast<const ContextState*>(given)->protocols;
    unsigned char* found = nullptr;
    const int result =
        SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(own.data()),
                              static_cast<unsigned>(own.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// The name in a client's first message (RFC 6066, section 3): a list of one entry, with the length
/// of the list, the type 0, and the length of the name in front. Empty if there is none.
std::string_view asked_name(SSL* ssl) noexcept {
    const unsigned char* bytes = nullptr;
    std::size_t size = 0;
    constexpr std::size_t header = 5;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1 ||
        size <= header || bytes[2] != TLSEXT_NAMETYPE_host_name)
        return {};
    const std::size_t named = (static_cast<std::size_t>(bytes[3]) << 8) | bytes[4];
    if (named != size - header || named > TLSEXT_MAXLEN_host_name) return {};
    const std::string_view name(reinterpret_cast<const char*>(bytes) + header, named);
    return name.find('\0') == std::string_view::npos ? name : std::string_view();
}

/// OpenSSL moves the certificate and the trusted certificates to the chosen context. What it copied
/// into the connection at the beginning has to be moved by hand.
void change_context(SSL* ssl, ContextState& chosen) noexcept {
    SSL_CTX* const context = chosen.ssl_context.get();
    SSL_set_SSL_CTX(ssl, context);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
    static_cast<void>(
        SSL_set_min_proto_version(ssl, static_cast<int>(SSL_CTX_get_min_proto_version(context))));
    static_cast<void>(
        SSL_set_max_proto_version(ssl, static_cast<int>(SSL_CTX_get_max_proto_version(context))));
    SSL_set_security_level(ssl, SSL_CTX_get_security_level(context));
    static_cast<void>(SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(context)));
}

/// The name is noted for the program, also if it chooses no context.
int client_hello_came(SSL* ssl, int* alert, void*) noexcept {
    try {
        const std::string_view name = asked_name(ssl);
        Engine::of(ssl).note_asked_name(name);
        if (ContextState* chosen = ContextState::of(SSL_get_SSL_CTX(ssl)).for_name(name))
            change_context(ssl, *chosen);
        return SSL_CLIENT_HELLO_SUCCESS;
    } catch (const std::bad_alloc&) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
}

// --- Options ------------------------------------------------------------------------------------

/// A method for one side: OpenSSL then refuses to take the other part by mistake.
ContextPtr new_ssl_context(bool is_server) {
    ContextPtr context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    if (context == nullptr) throw std::bad_alloc();
    return context;
}

/// The ciphers of TLS 1.2 are those of Python's default, which all have forward secrecy: the key of
/// the certificate opens no recorded connection. (OpenSSL's own list has key exchange with RSA.)
/// The order of a server decides, so an old client does not choose a weaker one. The security level
/// decides which keys and digests are too weak, for the own certificate, too.
///
/// Renegotiation is a message that makes a peer compute, as often as its sender likes, and TLS 1.3
/// has removed it. It is refused by a warning, and the connection continues.
void set_versions(SSL_CTX* context, const ContextOptions& options) {
    if (options.maximum_version < options.minimum_version)
        throw std::invalid_argument("tls: maximum_version is older than minimum_version");
    if (options.security_level < 0 || options.security_level > 5)
        throw std::invalid_argument("tls: security_level is a number from 0 to 5");
    SSL_CTX_set_min_proto_version(context, number_of(options.minimum_version));
    SSL_CTX_set_max_proto_version(context, number_of(options.maximum_version));
    SSL_CTX_set_security_level(context, options.security_level);
    constexpr const char* ciphers = "ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:"
                                    "!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM";
    if (SSL_CTX_set_cipher_list(context, ciphers) != 1)
        throw TlsError("tls: this OpenSSL has no cipher that can be used");
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/// A server that asks no client for a certificate needs no trusted certificates. A client that does
/// not verify loads those that the program names, so that a mistake in them is found.
void set_verification(ContextState& state, const ContextOptions& options) {
    SSL_CTX* const context = state.ssl_context.get();
    state.verify = options.verify.value_or(state.is_server ? Verify::none : Verify::required);
    state.check_hostname =
        !state.is_server && state.verify != Verify::none && options.check_hostname;
    state.demand_revocation_status = options.demand_revocation_status;
    if (state.verify != Verify::none || !options.ca_file.empty() || !options.ca_pem.empty())
        load_trusted(context, options, state.is_server);
    load_revocation_lists(context, options);
    int mode = SSL_VERIFY_NONE;
    if (state.verify == Verify::optional) mode = SSL_VERIFY_PEER;
    if (state.verify == Verify::required) mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, mode, &Engine::certificate_checked);
    if (state.is_server) {
        SSL_CTX_set_tlsext_status_cb(context, &give_revocation_status);
    } else {
        SSL_CTX_set_tlsext_status_cb(context, &check_revocation_status);
    }
}

/// The list is written as it goes over the wire: each name with its length in front (RFC 7301).
void set_protocols(ContextState& state, const ContextOptions& options) {
    for (const std::string_view protocol : options.alpn) {
        if (protocol.empty() || protocol.size() > 255)
            throw std::invalid_argument("tls: the name of a protocol (ALPN) has 1 to 255 bytes");
        state.protocols += static_cast<char>(protocol.size());
        state.protocols += protocol;
    }
    if (state.protocols.size() > USHRT_MAX - 2)
        throw std::invalid_argument("tls: the protocols (ALPN) are too many");
    if (state.protocols.empty()) return;
    SSL_CTX* const context = state.ssl_context.get();
    if (state.is_server) {
        SSL_CTX_set_alpn_select_cb(context, &choose_protocol, &state);
    } else if (SSL_CTX_set_alpn_protos(
                   context, reinterpret_cast<const unsigned char*>(state.protocols.data()),
                   static_cast<unsigned>(state.protocols.size())) != 0) {
        throw std::bad_alloc();
    }
}

/// The option of the program comes before the environment.
void set_key_log(ContextState& state, const ContextOptions& options) {
    std::string path(options.key_log_file);
    if (path.empty() && options.key_log_from_environment) {
        if (const char* named = std::getenv("SSLKEYLOGFILE")) path = named;
    }
    if (path.empty()) return;
    state.key_log = std::make_unique<KeyLog>(path);
    SSL_CTX_set_keylog_callback(state.ssl_context.get(), &secret_came);
}

/// OpenSSL's own cache is keyed by the session and useless for a client.
void set_client_sessions(ContextState& state, const ContextOptions& options) {
    SSL_CTX* const context = state.ssl_context.get();
    if (options.cached_sessions == 0) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        return;
    }
    state.sessions = std::make_unique<SessionCache>(options.cached_sessions);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, &session_came);
}

/// The identity of the context, see the top of the file.
void set_identity(SSL_CTX* context) {
    unsigned char identity[16];
    if (RAND_bytes(identity, sizeof identity) != 1 ||
        SSL_CTX_set_session_id_context(context, identity, sizeof identity) != 1)
        throw TlsError("tls: the system has no random numbers");
}

/// All sessions of a server are in tickets, so it keeps no state of clients that have gone. OpenSSL
/// asks the context that a client has chosen by its name for the key.
void set_server_sessions(ContextState& state, const ContextOptions& options) {
    SSL_CTX* const context = state.ssl_context.get();
    set_identity(context);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, options.session_tickets);
    if (options.ticket_key_lifetime <= Delay())
        throw std::invalid_argument("tls: ticket_key_lifetime must be positive");
    if (options.session_tickets == 0) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        return;
    }
    state.ticket_keys = std::make_unique<TicketKeys>(options.ticket_key_lifetime);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &TicketKeys::use);
}

/// The contexts of other names are held, and are contexts of their own: one of them may be used
/// under several names, and by other servers.
void set_names(ContextState& state, const ContextOptions& options) {
    for (const NamedContext& named : options.contexts_by_name) {
        if (!named.context || !named.context.is_server() || named.name.empty())
            throw std::invalid_argument("tls: contexts_by_name needs names and server contexts");
        state.by_name[in_small_letters(named.name)] = named.context.state();
    }
    SSL_CTX_set_client_hello_cb(state.ssl_context.get(), &client_hello_came, nullptr);
}

/// The part that clients and servers have in common.
std::shared_ptr<ContextState> make_context(const ContextOptions& options, bool is_server) {
    const ErrorQueue errors;
    auto state = std::make_shared<ContextState>();
    state->is_server = is_server;
    state->ssl_context = new_ssl_context(is_server);
    SSL_CTX* const context = state->ssl_context.get();
    SSL_CTX_set_app_data(context, state.get());
    set_versions(context, options);
    const bool has_identity = load_identity(context, options);
    if (is_server && !has_identity)
        throw std::invalid_argument("tls: a server needs a certificate and its key");
    set_verification(*state, options);
    set_protocols(*state, options);
    set_key_log(*state, options);
    return state;
}

}  // namespace

/// The longest match is the name itself; then that of its parent with a star.
ContextState* ContextState::for_name(std::string_view name) const {
    if (by_name.empty() || name.empty()) return nullptr;
    if (name.back() == '.') name.remove_suffix(1);
    const std::string small = in_small_letters(name);
    auto found = by_name.find(small);
    const std::size_t dot = small.find('.');
    if (found == by_name.end() && dot != std::string::npos)
        found = by_name.find("*" + small.substr(dot));
    return found == by_name.end() ? nullptr : found->second.get();
}

}  // namespace engine

bool Context::is_server() const noexcept { return state_ != nullptr && state_->is_server; }

Context client_context(const ContextOptions& options) {
    if (!options.contexts_by_name.empty() || !options.revocation_status.empty())
        throw std::invalid_argument("tls: contexts_by_name and revocation_status are for servers");
    auto state = engine::make_context(options, false);
    engine::set_client_sessions(*state, options);
    return Context(std::move(state));
}

Context server_context(const ContextOptions& options) {
    auto state = engine::make_context(options, true);
    engine::set_server_sessions(*state, options);
    engine::set_names(*state, options);
    state->revocation_status = options.revocation_status;
    return Context(std::move(state));
}

/// A static variable of a function is made by one thread while the others wait, and if that throws,
/// the next call tries again.
Context default_client_context() {
    static const Context made = client_context();
    return made;
}

}  // namespace asyncio::tls
