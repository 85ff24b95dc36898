// Goal: the summary of any certificate that OpenSSL can read is text without surprises: no NUL, no
// line ends in the names of owners, numbers of the right length.
// Method: the input is a certificate in DER, as a peer sends it.

#include "engine/certificate.h"
#include "fuzz/fuzz.h"

#include <openssl/err.h>
#include <openssl/x509.h>

namespace {

using fuzz::require;

/// Whether a text can go to a terminal.
bool is_printable(const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::uint8_t* at = bytes;
    const std::unique_ptr<X509, void (*)(X509*)> certificate(
        d2i_X509(nullptr, &at, static_cast<long>(size)), &X509_free);
    ERR_clear_error();
    if (certificate == nullptr) return -1;
    const asyncio::tls::Certificate summary = asyncio::tls::engine::summary_of(certificate.get());
    require(is_printable(summary.subject), "the owner is printable");
    require(is_printable(summary.issuer), "the issuer is printable");
    require(summary.fingerprint.size() == 64, "a fingerprint has 256 bits");
    require(!summary.der.empty(), "the bytes are there");
    for (const std::string& name : summary.dns_names)
        require(name.find('\0') == name.npos, "no name has a NUL");
    for (const std::string& address : summary.ip_addresses)
        require(is_printable(address), "an address is printable");
    require(ERR_peek_error() == 0, "no error is left in OpenSSL's queue");
    return 0;
}
