#include "engine/words.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace asyncio::tls::engine {

/// The frequent ones, in words that say what to do. OpenSSL has a text for every other one.
const char* words_for_verification(int code) noexcept {
    switch (code) {
        case X509_V_ERR_CERT_HAS_EXPIRED: return "it has expired";
        case X509_V_ERR_CERT_NOT_YET_VALID: return "it is not valid yet";
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return "it is self-signed and not among the trusted certificates";
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
            return "its root is not among the trusted certificates";
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return "its issuer is not among the trusted certificates, or the peer has not sent the "
                   "certificates between them";
        case X509_V_ERR_HOSTNAME_MISMATCH: return "it was issued for other names than";
        case X509_V_ERR_IP_ADDRESS_MISMATCH: return "it was issued for other addresses than";
        case X509_V_ERR_EE_KEY_TOO_SMALL:
        case X509_V_ERR_CA_KEY_TOO_SMALL: return "its key is too weak";
        case X509_V_ERR_CA_MD_TOO_WEAK: return "it is signed with a digest that is too weak";
        case X509_V_ERR_CERT_SIGNATURE_FAILURE: return "its signature is wrong";
        case X509_V_ERR_CERT_REVOKED: return "it was revoked";
        case X509_V_ERR_UNABLE_TO_GET_CRL:
            return "there is no list of the certificates that its issuer has revoked";
        case X509_V_ERR_CRL_HAS_EXPIRED:
            return "the list of the certificates that its issuer has revoked is out of date";
        case X509_V_ERR_CRL_NOT_YET_VALID:
            return "the list of the certificates that its issuer has revoked is not valid yet";
        case X509_V_ERR_CRL_SIGNATURE_FAILURE:
            return "the list of the certificates that its issuer has revoked has a wrong signature";
        case X509_V_ERR_INVALID_PURPOSE: return "it was issued for another purpose";
        case X509_V_ERR_INVALID_CA:
        case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return "it must not issue certificates";
        case X509_V_ERR_PERMITTED_VIOLATION:
        case X509_V_ERR_EXCLUDED_VIOLATION:
            return "its issuer must not issue certificates for these names";
        case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        case X509_V_ERR_PATH_LENGTH_EXCEEDED: return "the chain of its issuers is too long";
        case X509_V_ERR_OCSP_VERIFY_NEEDED: return "no valid statement of revocation came with it";
        default: return X509_verify_cert_error_string(code);
    }
}

/// OpenSSL has the names of the RFC.
const char* words_for_alert(int alert) noexcept { return SSL_alert_desc_string_long(alert); }

/// OpenSSL numbers the reasons that stand for alerts of the peer from 1000 on. An alert has one
/// byte.
int alert_of_error(unsigned long code) noexcept {
    const int reason = ERR_GET_REASON(code);
    const bool is_alert = ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
                          reason < SSL_AD_REASON_OFFSET + 256;
    return is_alert ? reason - SSL_AD_REASON_OFFSET : -1;
}

/// The errors that users meet, in words that say which side has to change something. The other
/// texts are OpenSSL's.
const char* words_for_error(unsigned long code) noexcept {
    const char* const otherwise = ERR_reason_error_string(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
        switch (ERR_GET_REASON(code)) {
            case SSL_R_WRONG_VERSION_NUMBER: return "the peer does not speak TLS";
            case SSL_R_HTTP_REQUEST: return "the peer speaks HTTP without TLS";
            case SSL_R_HTTPS_PROXY_REQUEST: return "the peer takes this for an HTTP proxy";
            case SSL_R_UNSUPPORTED_PROTOCOL:
            case SSL_R_NO_PROTOCOLS_AVAILABLE:
            case SSL_R_VERSION_TOO_LOW: return "the two sides have no version of TLS in common";
            case SSL_R_NO_SHARED_CIPHER: return "the two sides have no cipher in common";
            case SSL_R_NO_APPLICATION_PROTOCOL:
                return "the two sides have no protocol in common (ALPN)";
            case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "the client sent no certificate";
            case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC: return "a record was altered";
            case SSL_R_UNEXPECTED_EOF_WHILE_READING: return "the peer has closed the connection";
            case SSL_R_EE_KEY_TOO_SMALL: return "the key of the own certificate is too weak";
            case SSL_R_CA_MD_TOO_WEAK:
                return "the own certificate is signed with a digest that is too weak";
            default: break;
        }
    }
    return otherwise != nullptr ? otherwise : "OpenSSL gives no reason";
}

}  // namespace asyncio::tls::engine
