#pragma once
// What can be learnt of a connection: the versions and names that were negotiated, and the peer's
// certificate.
//
// Everything here is a copy, which stays valid after the connection. The strings of a certificate
// are bytes of the peer: a program that prints them must expect anything in them. A verified
// certificate has names that an issuer has checked.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace asyncio::tls {

/// A certificate, as far as most programs need it. Python: `getpeercert()`, with all of `der`.
struct Certificate {
    /// The owner and the issuer in the notation of RFC 2253: "CN=example.org,O=Example". Bytes that
    /// are not printable ASCII are escaped.
    std::string subject;
    std::string issuer;
    /// The names and addresses that the certificate is for (subject alternative names). A name with
    /// a NUL byte in it is left out.
    std::vector<std::string> dns_names;
    std::vector<std::string> ip_addresses;
    /// The time in which it is valid, both ends included.
    std::chrono::system_clock::time_point valid_from;
    std::chrono::system_clock::time_point valid_until;
    /// Hexadecimal digits.
    std::string serial_number;
    /// The SHA-256 of `der`, as 64 hexadecimal digits.
    std::string fingerprint;
    /// The whole certificate.
    std::string der;
};

/// How the peer has ended the stream, as far as it is known.
enum class End : std::uint8_t {
    open,    ///< The end has not been read.
    clean,   ///< The peer said that it was the end, by close_notify. All bytes have come.
    ragged,  ///< The connection ended without that. Bytes may be missing: someone may have cut it.
};

/// What was negotiated. Python: `version()`, `cipher()`, `selected_alpn_protocol()`,
/// `session_reused`.
struct ConnectionInfo {
    /// "TLSv1.3".
    std::string version;
    /// "TLS_AES_256_GCM_SHA384".
    std::string cipher;
    /// The protocol that ALPN has chosen. Empty: none.
    std::string alpn;
    /// At a client the name that it asked for; at a server the name that the client asked for, or
    /// empty. A server must treat it as bytes of the peer.
    std::string server_hostname;
    /// The session of an earlier connection was resumed.
    bool session_reused = false;
    /// The certificate of the peer; none if it sent none. It is there even if certificates are not
    /// verified.
    std::optional<Certificate> peer_certificate;
};

}  // namespace asyncio::tls
