#pragma once
// Contexts: what many connections have in common. Trusted certificates, the own certificate, limits
// of versions, and the sessions that can be resumed.
//
// A context is made once and used for many connections. Making a client's context with the trusted
// certificates of the system reads some hundred certificates and takes 30 to 50 ms, so a program
// that makes a context for each connection spends most of its time there.
// `default_client_context` makes one such context for the process, when it is first needed.
//
// A context does not change after it is made. There are no setters as in Python's `SSLContext`: a
// setter that is called while another thread uses the context is a race, and OpenSSL copies some
// settings into a connection and reads others later. All settings are options of the two functions
// below, which copy what they need.
//
// Files are read when the context is made, and the thread waits for them. The exception is a folder
// of trusted certificates: OpenSSL looks into it during a handshake.
//
// Thread-safety: a context may be used by all threads at the same time.

#include <asyncio/delay.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace asyncio::tls {

namespace engine {
struct ContextState;
}

/// What becomes of a peer's certificate. Python: `ssl.VerifyMode`.
enum class Verify : std::uint8_t {
    none,      ///< It is not looked at. A server does not ask its clients for one.
    optional,  ///< A server asks its clients, and verifies what they send. At a client: `required`.
    required,  ///< A peer without a certificate that can be trusted is refused.
};

/// Versions of TLS. Older ones are not supported. Python: `ssl.TLSVersion`.
enum class Version : std::uint8_t { tls_1_2, tls_1_3 };

/// The settings of many connections. It can be copied, and copies are the same context.
/// Python: `ssl.SSLContext`.
class Context {
public:
    /// No context. It is false, and refused wherever a context is needed.
    Context() noexcept = default;
    explicit operator bool() const noexcept { return state_ != nullptr; }
    friend bool operator==(const Context&, const Context&) noexcept = default;

    /// Whether connections of this context take the part of the server.
    bool is_server() const noexcept;

    /// For the library.
    explicit Context(std::shared_ptr<engine::ContextState> state) noexcept
        : state_(std::move(state)) {}
    const std::shared_ptr<engine::ContextState>& state() const noexcept { return state_; }

private:
    std::shared_ptr<engine::ContextState> state_;
};

/// The context that a server uses for clients that ask for `name`.
struct NamedContext {
    /// "example.org", or "*.example.org" for every name with one more label. Case does not matter.
    std::string_view name;
    Context context;
};

/// How a context is made. Views need to live until the function returns.
struct ContextOptions {
    /// The own certificate, with the certificates of its issuers behind it, in PEM: the name of a
    /// file, or the text. A server needs one; a client may have one. The key may stand in the same
    /// file, before or behind the certificate. Python: `load_cert_chain`.
    std::string_view certificate_file = {};
    std::string_view certificate_pem = {};
    std::string_view key_file = {};
    std::string_view key_pem = {};
    /// Of an encrypted key. Without it an encrypted key is refused; no terminal is asked.
    std::string_view password = {};

    /// The certificates that are trusted: a file or a text with any number of certificates in PEM,
    /// or a folder as `openssl rehash` makes it. If all three are empty, a client trusts those of
    /// the system (and of the environment variables SSL_CERT_FILE and SSL_CERT_DIR), and a server
    /// none. Python: `load_verify_locations`.
    std::string_view ca_file = {};
    std::string_view ca_pem = {};
    std::string_view ca_directory = {};

    /// What becomes of the peer's certificate. Without a value: `required` at a client, `none` at a
    /// server.
    std::optional<Verify> verify = std::nullopt;
    /// A client checks that the certificate was issued for the name that it asked for. Has no
    /// effect if certificates are not verified.
    bool check_hostname = true;
    /// A client refuses a server that sends no valid statement that its certificate is not revoked
    /// (OCSP stapling, RFC 6066). In any case it refuses a certificate that such a statement calls
    /// revoked, and a certificate that demands a statement and comes without one (RFC 7633).
    bool demand_revocation_status = false;

    /// Lists of revoked certificates (CRL): a file or a text with any number of them in PEM. With
    /// them a peer's certificate is refused if a list names it, and also if there is no list of its
    /// issuer, or only one that is out of date. The certificates of issuers are refused if a list
    /// names them. A session that is resumed was checked when it was made. The lists are read once;
    /// for new lists make a new context.
    /// Python: `load_verify_locations` and `VERIFY_CRL_CHECK_LEAF`.
    std::string_view revocation_list_file = {};
    std::string_view revocation_list_pem = {};

    Version minimum_version = Version::tls_1_2;
    Version maximum_version = Version::tls_1_3;
    /// OpenSSL's security level, 0 to 5: the weakest keys and digests that are accepted. 2 means
    /// RSA with 2048 bits and SHA-256. (Python leaves it to the system; Debian's is 2.)
    int security_level = 2;
    /// The protocols that are offered, the preferred one first. A server chooses by its own order,
    /// and ends a handshake in which the two have none in common. (Python's server continues
    /// without a protocol. RFC 7301 demands the alert.)
    std::span<const std::string_view> alpn = {};

    /// For a client: how many servers' sessions are kept, to be resumed. 0: none.
    std::size_t cached_sessions = 256;
    /// For a server: how many tickets a client is given. Each lets it resume the session once. 0:
    /// sessions cannot be resumed.
    std::size_t session_tickets = 2;
    /// For a server: for how long a key seals tickets. Then a new key seals, and the old key still
    /// opens tickets for the same time. A ticket is good for two hours at most, so with a shorter
    /// time some clients lose their sessions. Must be positive. The keys are random and in no other
    /// context, so a session ends with its context.
    Delay ticket_key_lifetime = std::chrono::hours(2);
    /// For a server: other contexts for some of its names. A client that asks for another name, or
    /// for none, gets this context. Python: `sni_callback`.
    std::span<const NamedContext> contexts_by_name = {};
    /// For a server: the statement of revocation about its certificate, as the OCSP response in
    /// DER. Empty: none is sent.
    std::string_view revocation_status = {};

    /// Appends the secrets of every connection to this file, in the format that Wireshark reads.
    /// With them the recorded traffic can be decrypted. Python: `keylog_filename`.
    std::string_view key_log_file = {};
    /// The same for the file that the environment variable SSLKEYLOGFILE names, if it is set.
    bool key_log_from_environment = false;
};

/// Makes a context for clients. The defaults are safe: certificates and names are verified, and
/// TLS 1.2 is the oldest version.
///
/// Throws: TlsError if a certificate or key is missing, malformed, or too weak; OsError if a file
/// cannot be read; `std::invalid_argument` for options that contradict each other.
/// Thread-safety: any thread. Cost: 30 to 50 ms with the certificates of the system.
/// Python: `ssl.create_default_context()`.
Context client_context(const ContextOptions& options = {});

/// Makes a context for servers. The options need to name a certificate and its key.
///
/// Throws: as `client_context`; `std::invalid_argument` also if there is no certificate.
/// Python: `ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)` and `load_cert_chain`.
Context server_context(const ContextOptions& options);

/// The context of clients that name none: `client_context()` with all defaults. It is made by the
/// first call, and there is one in the process.
///
/// Throws: as `client_context`. The next call tries again.
/// Cost: the first call 30 to 50 ms. A server may call it once before it starts.
Context default_client_context();

}  // namespace asyncio::tls
