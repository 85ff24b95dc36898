#include "engine/engine.h"

#include <asyncio/tls/errors.h>

#include "engine/certificate.h"
#include "engine/context_state.h"
#include "engine/wire.h"
#include "engine/words.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>

namespace asyncio::tls::engine {
namespace {

/// A host name as it stands in certificates: labels of letters, digits, '-' and '_'. (The
/// underscore is against the rules for hosts, and in use.) Everything else would be refused later,
/// with a message that says less.
bool is_host_name(std::string_view name) noexcept {
    constexpr std::size_t longest = 253;
    const auto is_fine = [](unsigned char byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
               (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
    };
    return !name.empty() && name.size() <= longest && name.front() != '.' && name.back() != '.' &&
           name.find("..") == std::string_view::npos &&
           std::all_of(name.begin(), name.end(), is_fine);
}

/// OpenSSL's parser decides, since it also compares the addresses.
bool is_address(const std::string& name) noexcept {
    ASN1_OCTET_STRING* const address = a2i_IPADDRESS(name.c_str());
    ASN1_OCTET_STRING_free(address);
    return address != nullptr && name.find('\0') == std::string::npos;
}

}  // namespace

void FreeSsl::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

Engine::Engine(std::shared_ptr<ContextState> context, std::string_view server_hostname,
               std::string_view session_key)
    : context_(std::move(context)),
      wire_(std::make_unique<Wire>(context_->spares)),
      server_hostname_(server_hostname) {
    const ErrorQueue errors;
    ssl_.reset(SSL_new(context_->ssl_context.get()));
    BIO* const bio = ssl_ != nullptr ? Wire::new_bio(*wire_) : nullptr;
    if (bio == nullptr) throw std::bad_alloc();
    // One reference serves both directions; OpenSSL owns it from here.
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_app_data(ssl_.get(), this);
    if (context_->is_server) {
        if (!server_hostname.empty())
            throw std::invalid_argument("tls: server_hostname is for clients");
        peer_name_ = "a client";
        SSL_set_accept_state(ssl_.get());
    } else {
        begin_as_client(session_key);
    }
}

/// OpenSSL takes a connection that is freed without close_notify for a broken one, and marks its
/// session as not to be resumed. The connection may have ended in another orderly way, so OpenSSL
/// is told that it was closed.
Engine::~Engine() {
    const ErrorQueue errors;
    if (!failed()) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    // Before the wire, which its BIO uses.
    ssl_.reset();
}

/// Here and not with the options: a function that connects first has to know it before it does so,
/// and must not see the headers of OpenSSL.
bool Engine::needs_server_hostname(const ContextState& context) noexcept {
    return !context.is_server && context.check_hostname;
}

/// A dot at the end makes a name absolute for the resolver, and does not belong to it (RFC 6066,
/// section 3). A session is asked for by the name that will be verified.
void Engine::begin_as_client(std::string_view session_key) {
    if (!server_hostname_.empty() && server_hostname_.back() == '.') server_hostname_.pop_back();
    peer_name_ = server_hostname_.empty() ? "a server" : '"' + server_hostname_ + '"';
    if (needs_server_hostname(*context_) || !server_hostname_.empty()) set_server_name();
    SSL_set_connect_state(ssl_.get());
    if (context_->verify != Verify::none)
        SSL_set_tlsext_status_type(ssl_.get(), TLSEXT_STATUSTYPE_ocsp);
    if (context_->sessions == nullptr || (server_hostname_.empty() && session_key.empty())) return;
    session_key_.append(server_hostname_).append(1, '\0').append(session_key);
    const SessionPtr session = context_->sessions->take(session_key_);
    if (session != nullptr) SSL_set_session(ssl_.get(), session.get());
    offered_session_ = session.get();
}

/// An address is not sent to the server (RFC 6066, section 3), and is compared with the addresses
/// of the certificate alone. For a name, the common name of the owner does not count: it is a text
/// for people (RFC 9525). A star stands for one whole label.
void Engine::set_server_name() {
    if (server_hostname_.empty())
        throw std::invalid_argument("tls: a client needs server_hostname to check the certificate; "
                                    "without it, set check_hostname to false in the context");
    X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    bool is_set = true;
    if (is_address(server_hostname_)) {
        if (context_->check_hostname)
            is_set = X509_VERIFY_PARAM_set1_ip_asc(checks, server_hostname_.c_str()) == 1;
    } else if (!is_host_name(server_hostname_)) {
        throw std::invalid_argument("tls: server_hostname is neither a host name in ASCII nor an "
                                    "address");
    } else {
        is_set = SSL_set_tlsext_host_name(ssl_.get(), server_hostname_.c_str()) == 1;
        if (is_set && context_->check_hostname)
            is_set = X509_VERIFY_PARAM_set1_host(checks, server_hostname_.data(),
                                                 server_hostname_.size()) == 1;
    }
    if (!is_set) throw std::bad_alloc();
}

// --- The steps ----------------------------------------------------------------------------------

// Each step begins with an empty queue of errors. Other code of this thread may have left errors
// there, and OpenSSL would take one of them for the reason of a step that only has to wait.

/// A gap in the ciphertext cannot be repaired, so missing memory ends the connection.
void Engine::take_in(std::span<const char> bytes) noexcept {
    if (!wire_->take_in(bytes)) fail();
}

/// A reference, so that the caller can exchange the string for an empty one with memory in it.
std::string& Engine::output() noexcept { return wire_->output; }

/// Asks for nothing after a failure: OpenSSL would answer with another error.
Engine::Progress Engine::handshake(TimePoint now) noexcept {
    if (failed()) return Progress::failed;
    now_ = now;
    const ErrorQueue errors;
    const Progress progress = conclude(SSL_do_handshake(ssl_.get()));
    if (progress == Progress::done) keep_renewed_session();
    return progress;
}

Engine::Progress Engine::read(std::span<char> into, std::size_t& count) noexcept {
    if (failed()) return Progress::failed;
    const ErrorQueue errors;
    return conclude(SSL_read_ex(ssl_.get(), into.data(), into.size(), &count));
}

/// OpenSSL cuts the bytes into records. It takes all of them: the wire never refuses a write.
Engine::Progress Engine::write(std::string_view bytes) noexcept {
    if (failed()) return Progress::failed;
    const ErrorQueue errors;
    std::size_t written = 0;
    return conclude(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written));
}

/// OpenSSL cannot say it in the middle of a message of the handshake protocol. The end is then
/// ragged for the peer.
void Engine::close() noexcept {
    if (failed()) return;
    const ErrorQueue errors;
    static_cast<void>(SSL_shutdown(ssl_.get()));
}

/// OpenSSL has two buffers for each connection, 34 KiB together. A connection that waits needs
/// none. A record that has come in part lies in one of them, and so does a part of a record that
/// the program has not read.
void Engine::rest(std::string& sent) noexcept {
    if (SSL_has_pending(ssl_.get()) == 0) static_cast<void>(SSL_free_buffers(ssl_.get()));
    wire_->rest();
    if (sent.empty()) context_->spares.take_back(sent);
}

/// What a call of OpenSSL means that has returned `result`. A write to the wire never has to wait,
/// so "wants to write" does not occur.
Engine::Progress Engine::conclude(int result) noexcept {
    if (result == 1) return Progress::done;
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return Progress::needs_input;
        case SSL_ERROR_ZERO_RETURN: return Progress::ended;
        default: break;
    }
    fail();
    return Progress::failed;
}

// --- Failures -----------------------------------------------------------------------------------

/// Reads the reason out of the queue of errors. A refusal of a certificate is the last one: a check
/// of a signature leaves its own errors before it. A session that was not good enough is not tried
/// again.
void Engine::fail() noexcept {
    const unsigned long error = ErrorQueue::first();
    const bool is_refusal = ErrorQueue::ends_with(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED) ||
                            ErrorQueue::ends_with(ERR_LIB_SSL, SSL_R_INVALID_STATUS_RESPONSE);
    if (wire_->out_of_memory || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
        failure_ = {Failure::Kind::memory, -1, "there is no memory"};
    } else if (is_refusal && verify_code_ != X509_V_OK) {
        failure_ = {Failure::Kind::certificate, -1, words_for_verification(verify_code_)};
    } else if (const int alert = alert_of_error(error); alert >= 0) {
        failure_ = {Failure::Kind::alert, alert, words_for_alert(alert)};
    } else {
        failure_ = {Failure::Kind::protocol, -1, words_for_error(error)};
    }
    if (!session_key_.empty()) context_->sessions->forget(session_key_);
}

/// OpenSSL calls this for each certificate, from the root down. The first failure is the reason; it
/// is noted here, because only here the depth is known.
///
/// With lists of revoked certificates OpenSSL wants a list of every issuer. An issuer's certificate
/// without a list is accepted here: most roots publish none.
int Engine::certificate_checked(int is_good, x509_store_ctx_st* store) noexcept {
    if (is_good != 1 && X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(store) > 0) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    auto* const ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (is_good != 1) {
        of(ssl).note_refusal(X509_STORE_CTX_get_error(store),
                             X509_STORE_CTX_get_error_depth(store));
    }
    return is_good;
}

void Engine::note_refusal(int verify_code, int depth) noexcept {
    verify_code_ = verify_code;
    verify_depth_ = depth;
}

/// The sentence has the check, the certificate in the chain, and the name that was asked for.
void Engine::throw_failure(const std::string& during) const {
    switch (failure_.kind) {
        case Failure::Kind::memory: throw std::bad_alloc();
        case Failure::Kind::alert:
            throw TlsError(during + ": the peer has refused it with the alert \"" + failure_.words +
                               '"',
                           failure_.alert);
        case Failure::Kind::certificate: break;
        case Failure::Kind::protocol:
        case Failure::Kind::none: throw TlsError(during + ": " + failure_.words);
    }
    std::string reason = failure_.words;
    if (verify_code_ == X509_V_ERR_HOSTNAME_MISMATCH ||
        verify_code_ == X509_V_ERR_IP_ADDRESS_MISMATCH)
        reason += " " + peer_name_;
    const std::string which =
        verify_depth_ == 0 ? "the certificate of the peer"
                           : "the issuer's certificate at depth " + std::to_string(verify_depth_);
    throw CertificateError(during + ": " + which + " is refused: " + reason,
                           context_->is_server ? std::string() : server_hostname_, reason,
                           verify_code_, verify_depth_);
}

// --- Sessions and names -------------------------------------------------------------------------

Engine& Engine::of(ssl_st* ssl) noexcept { return *static_cast<Engine*>(SSL_get_app_data(ssl)); }

/// Called while bytes are read, at any time: servers give sessions when they like.
void Engine::keep_session(ssl_session_st* session) noexcept {
    SessionPtr owned(session);
    if (!session_key_.empty()) context_->sessions->put(session_key_, std::move(owned));
}

/// With TLS 1.2 OpenSSL does not report the new ticket that a server gives to a client whose ticket
/// it has opened with an old key. Without it the client would lose its session with that key.
void Engine::keep_renewed_session() noexcept {
    if (session_key_.empty() || SSL_session_reused(ssl_.get()) != 1 ||
        SSL_version(ssl_.get()) != TLS1_2_VERSION ||
        SSL_get0_session(ssl_.get()) == offered_session_)
        return;
    keep_session(SSL_get1_session(ssl_.get()));
}

/// OpenSSL gives out pointers into the connection, so everything is copied.
ConnectionInfo Engine::info() const {
    const ErrorQueue errors;
    ConnectionInfo info;
    info.version = SSL_get_version(ssl_.get());
    if (const char* cipher = SSL_get_cipher_name(ssl_.get())) info.cipher = cipher;
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
    info.alpn.assign(reinterpret_cast<const char*>(protocol), size);
    info.server_hostname = server_hostname_;
    info.session_reused = SSL_session_reused(ssl_.get()) == 1;
    if (const X509* certificate = SSL_get0_peer_certificate(ssl_.get()))
        info.peer_certificate = summary_of(certificate);
    return info;
}

}  // namespace asyncio::tls::engine
