#pragma once
// OpenSSL's numbers in plain words.
//
// Every text here is fixed: it stands in this program or in OpenSSL. So a message that is made of
// these texts contains no byte of a peer. (OpenSSL's own error strings are not used as a whole: a
// part of them, the "data", may quote what was received.)
//
// Thread-safety: any thread.

namespace asyncio::tls::engine {

/// Why a certificate is refused, for a number X509_V_ERR_…, as the end of the sentence "the
/// certificate is refused: …". A host name, if the reason is about one, stands behind it.
const char* words_for_verification(int code) noexcept;

/// The name of an alert (RFC 8446, section 6.2): "unknown CA".
const char* words_for_alert(int alert) noexcept;

/// What the error `code` of the queue means, as the end of "the handshake has failed: …".
const char* words_for_error(unsigned long code) noexcept;

/// If `code` says that the peer has sent an alert, its number; otherwise −1.
int alert_of_error(unsigned long code) noexcept;

}  // namespace asyncio::tls::engine
