#include "engine/revocation.h"

#include "engine/context_state.h"
#include "engine/engine.h"

#include <cstdint>
#include <cstring>

namespace asyncio::tls::engine {
namespace {

enum class Status : std::uint8_t { none, good, revoked };

/// How far the clocks of this machine and of a responder may differ.
constexpr long clock_difference_seconds = 300;

/// What the response says about one certificate, whose number is `id`. An outdated statement says
/// nothing: the attacker may have kept it since before the revocation.
Status status_of(OCSP_BASICRESP* basic, OCSP_CERTID* id) noexcept {
    int status = V_OCSP_CERTSTATUS_UNKNOWN;
    ASN1_GENERALIZEDTIME* from = nullptr;
    ASN1_GENERALIZEDTIME* until = nullptr;
    if (id == nullptr ||
        OCSP_resp_find_status(basic, id, &status, nullptr, nullptr, &from, &until) != 1 ||
        OCSP_check_validity(from, until, clock_difference_seconds, -1) != 1)
        return Status::none;
    if (status == V_OCSP_CERTSTATUS_REVOKED) return Status::revoked;
    return status == V_OCSP_CERTSTATUS_GOOD ? Status::good : Status::none;
}

/// The response that came with the certificate, if it is signed by the issuer or on its behalf.
/// OpenSSL finds the issuer in the chain, which is verified already.
OcspBasicPtr verified_response(SSL* ssl, STACK_OF(X509) * chain) noexcept {
    const unsigned char* bytes = nullptr;
    // OpenSSL's macro for it converts the pointer in silence.
    const long size =
        SSL_ctrl(ssl, SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, static_cast<void*>(&bytes));
    if (bytes == nullptr || size <= 0) return nullptr;
    const OcspResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &bytes, size));
    if (response == nullptr ||
        OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return nullptr;
    OcspBasicPtr basic(OCSP_response_get1_basic(response.get()));
    X509_STORE* const trusted = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
    if (basic == nullptr || OCSP_basic_verify(basic.get(), chain, trusted, 0) <= 0) return nullptr;
    return basic;
}

/// A response names a certificate by digests, and there are two digests in use.
Status stapled_status(SSL* ssl) noexcept {
    STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl);
    if (chain == nullptr || sk_X509_num(chain) < 2) return Status::none;
    const OcspBasicPtr basic = verified_response(ssl, chain);
    if (basic == nullptr) return Status::none;
    const X509* const own = sk_X509_value(chain, 0);
    const X509* const issuer = sk_X509_value(chain, 1);
    for (const EVP_MD* digest : {EVP_sha1(), EVP_sha256()}) {
        const OcspIdPtr id(OCSP_cert_to_id(digest, own, issuer));
        const Status status = status_of(basic.get(), id.get());
        if (status != Status::none) return status;
    }
    return Status::none;
}

/// Whether the certificate must not be used without a statement: the extension "TLS feature" with
/// the number of the extension for statements.
bool demands_status(const X509* certificate) noexcept {
    constexpr long status_request = 5;
    auto* const features =
        static_cast<TLS_FEATURE*>(X509_get_ext_d2i(certificate, NID_tlsfeature, nullptr, nullptr));
    bool demands = false;
    for (int i = 0; i < sk_ASN1_INTEGER_num(features); ++i)
        demands |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == status_request;
    sk_ASN1_INTEGER_pop_free(features, &ASN1_INTEGER_free);
    return demands;
}

}  // namespace

/// A resumed session was verified when it was made, and no certificate has come. Errors of this
/// check must not stand before that of the handshake, so the queue is left empty.
int check_revocation_status(SSL* ssl, void*) noexcept {
    const ErrorQueue errors;
    const ContextState& context = ContextState::of(SSL_get_SSL_CTX(ssl));
    const X509* const certificate = SSL_get0_peer_certificate(ssl);
    if (SSL_session_reused(ssl) == 1 || certificate == nullptr || context.verify == Verify::none)
        return 1;
    const Status status = stapled_status(ssl);
    if (status == Status::good) return 1;
    if (status == Status::revoked) {
        Engine::of(ssl).note_refusal(X509_V_ERR_CERT_REVOKED, 0);
        return 0;
    }
    if (!context.demand_revocation_status && !demands_status(certificate)) return 1;
    Engine::of(ssl).note_refusal(X509_V_ERR_OCSP_VERIFY_NEEDED, 0);
    return 0;
}

/// OpenSSL frees the copy.
int give_revocation_status(SSL* ssl, void*) noexcept {
    const std::string& status = ContextState::of(SSL_get_SSL_CTX(ssl)).revocation_status;
    if (status.empty()) return SSL_TLSEXT_ERR_NOACK;
    void* const copy = OPENSSL_malloc(status.size());
    if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
    std::memcpy(copy, status.data(), status.size());
    if (SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy),
                                        static_cast<long>(status.size())) == 1)
        return SSL_TLSEXT_ERR_OK;
    OPENSSL_free(copy);
    return SSL_TLSEXT_ERR_NOACK;
}

}  // namespace asyncio::tls::engine
