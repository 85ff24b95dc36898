#pragma once
// The errors of TLS.
//
// A message says which check has failed, and for which name. The name is the one that this program
// asked for. A message never contains bytes that a peer has sent, since they may come from an
// attacker and reach a log or a terminal: no name out of a certificate, no text out of a record.
// What a peer has said is given as a number (of an alert, for example) and as the words that this
// library has for the number.
//
// Failures that are not TLS's own keep their types. A peer that closes the connection during the
// handshake is an `OsError` (ECONNRESET), a limit that has passed is a `TimeoutError`.
//
// After the handshake an error reaches the program through a stream, and streams report errors of
// the system: `OsError` with EPROTO. The reason then stands in the name of the channel:
// `read from TLS to "example.org" (a record was altered): Protocol error`.

#include <stdexcept>
#include <string>

namespace asyncio::tls {

/// A context could not be made, or a handshake has failed.
/// Python: `ssl.SSLError`.
class [[gnu::visibility("default")]] TlsError : public std::runtime_error {
public:
    explicit TlsError(const std::string& message, int alert = -1)
        : std::runtime_error(message), alert_(alert) {}

    /// The number of the alert with which the peer has ended the handshake (RFC 8446, section 6),
    /// or −1 if the failure was found on this side.
    int alert() const noexcept { return alert_; }

private:
    int alert_;
};

/// The peer's certificate was refused.
/// Python: `ssl.SSLCertVerificationError`.
class [[gnu::visibility("default")]] CertificateError : public TlsError {
public:
    CertificateError(const std::string& message, std::string name, std::string reason, int code,
                     int depth)
        : TlsError(message),
          name_(std::move(name)),
          reason_(std::move(reason)),
          code_(code),
          depth_(depth) {}

    /// The name or address that the certificate had to be for. Empty if a server refuses the
    /// certificate of a client.
    const std::string& name() const noexcept { return name_; }
    /// Why, in plain words: "it has expired". Python: `verify_message`.
    const std::string& reason() const noexcept { return reason_; }
    /// OpenSSL's number of the check that failed, X509_V_ERR_… Python: `verify_code`.
    int verify_code() const noexcept { return code_; }
    /// Which certificate failed: 0 is the peer's own, 1 that of its issuer, and so on.
    int depth() const noexcept { return depth_; }

private:
    std::string name_;
    std::string reason_;
    int code_;
    int depth_;
};

}  // namespace asyncio::tls
