#include "engine/certificate.h"

#include <array>
#include <cstddef>
#include <ctime>
#include <new>
#include <string>
#include <string_view>

#include <arpa/inet.h>

namespace asyncio::tls::engine {
namespace {

/// RFC 2253 escapes everything that is not printable ASCII, so the text can go to a terminal.
std::string text_of(const X509_NAME* name) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0)
        throw std::bad_alloc();
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

/// In small letters and without colons, as most tools print fingerprints.
std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * size);
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[bytes[i] >> 4];
        text += digits[bytes[i] & 15];
    }
    return text;
}

/// The strings of ASN.1 have a length, and no zero at their end.
std::string_view bytes_of(const ASN1_STRING* string) noexcept {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<std::size_t>(ASN1_STRING_length(string))};
}

/// A name with a NUL byte was made to look like a shorter one.
void add_name(Certificate& summary, const GENERAL_NAME* name) {
    if (name->type == GEN_DNS) {
        const std::string_view dns = bytes_of(name->d.dNSName);
        if (dns.find('\0') == std::string_view::npos) summary.dns_names.emplace_back(dns);
    } else if (name->type == GEN_IPADD) {
        const std::string_view address = bytes_of(name->d.iPAddress);
        std::array<char, INET6_ADDRSTRLEN> text{};
        const int family = address.size() == 4 ? AF_INET : AF_INET6;
        if ((address.size() == 4 || address.size() == 16) &&
            ::inet_ntop(family, address.data(), text.data(), text.size()) != nullptr)
            summary.ip_addresses.emplace_back(text.data());
    }
}

/// The common name of the owner is no name to connect to, so it is not among them.
void add_names(Certificate& summary, const X509* certificate) {
    const NamesPtr names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i)
        add_name(summary, sk_GENERAL_NAME_value(names.get(), i));
}

/// A time that OpenSSL cannot read is the beginning of the clock, which has passed. The system's
/// clock counts nanoseconds and ends in the year 2262. Certificates without an end end in the year
/// 9999 (RFC 5280, section 4.1.2.5), so a time beyond the clock is its first or last moment.
std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) noexcept {
    using Clock = std::chrono::system_clock;
    using std::chrono::seconds;
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
    const seconds since_epoch(::timegm(&parts));
    if (since_epoch >= std::chrono::floor<seconds>(Clock::duration::max()))
        return Clock::time_point::max();
    if (since_epoch <= std::chrono::ceil<seconds>(Clock::duration::min()))
        return Clock::time_point::min();
    return Clock::time_point(since_epoch);
}

/// A serial number has up to 20 bytes, more than any integer type.
std::string serial_of(const X509* certificate) {
    const NumberPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    if (number == nullptr) throw std::bad_alloc();
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
    auto* const start = reinterpret_cast<unsigned char*>(bytes.data());
    BN_bn2bin(number.get(), start);
    return hexadecimal(start, bytes.size());
}

/// Programs that need more of a certificate than this summary give the bytes to a parser.
std::string der_of(const X509* certificate) {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509(certificate, &bytes);
    if (size < 0) throw std::bad_alloc();
    const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(
        bytes, [](unsigned char* made) { OPENSSL_free(made); });
    return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

}  // namespace

/// The fingerprint is over the whole certificate, as browsers show it.
Certificate summary_of(const X509* certificate) {
    const ErrorQueue errors;
    Certificate summary;
    summary.subject = text_of(X509_get_subject_name(certificate));
    summary.issuer = text_of(X509_get_issuer_name(certificate));
    add_names(summary, certificate);
    summary.valid_from = time_of(X509_get0_notBefore(certificate));
    summary.valid_until = time_of(X509_get0_notAfter(certificate));
    summary.serial_number = serial_of(certificate);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1)
        summary.fingerprint = hexadecimal(digest.data(), size);
    summary.der = der_of(certificate);
    return summary;
}

}  // namespace asyncio::tls::engine
