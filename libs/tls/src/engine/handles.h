#pragma once
// Owners of OpenSSL's objects, and the queue in which OpenSSL leaves its errors.
//
// The queue belongs to the thread, not to the object that has failed, and a call of OpenSSL may
// find in it what an earlier call has left. So every group of calls begins with an empty queue and
// leaves it empty: an `ErrorQueue` object stands at its beginning.
//
// Thread-safety: none; the queue is the thread's own.

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace asyncio::tls::engine {

/// Frees an object of OpenSSL. All of its functions for that accept null pointers.
template <auto free_object>
struct Free {
    template <class Object>
    void operator()(Object* object) const noexcept {
        free_object(object);
    }
};

// Each name says what is owned. Pointers that OpenSSL lends (`get0`) are plain pointers.
using BioPtr = std::unique_ptr<BIO, Free<&BIO_free_all>>;
using NumberPtr = std::unique_ptr<BIGNUM, Free<&BN_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<&EVP_PKEY_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Free<&SSL_SESSION_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Free<&SSL_CTX_free>>;
using RevocationListPtr = std::unique_ptr<X509_CRL, Free<&X509_CRL_free>>;
using CertificatePtr = std::unique_ptr<X509, Free<&X509_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Free<&GENERAL_NAMES_free>>;
using OcspResponsePtr = std::unique_ptr<OCSP_RESPONSE, Free<&OCSP_RESPONSE_free>>;
using OcspBasicPtr = std::unique_ptr<OCSP_BASICRESP, Free<&OCSP_BASICRESP_free>>;
using OcspIdPtr = std::unique_ptr<OCSP_CERTID, Free<&OCSP_CERTID_free>>;

/// Empties the thread's queue of errors at both ends of a scope.
class ErrorQueue {
public:
    ErrorQueue() noexcept { ERR_clear_error(); }
    ErrorQueue(const ErrorQueue&) = delete;
    ErrorQueue& operator=(const ErrorQueue&) = delete;
    ~ErrorQueue() { ERR_clear_error(); }

    /// The first error, which is the cause of the others; 0 if there is none.
    static unsigned long first() noexcept { return ERR_peek_error(); }
    /// Whether the last error, in which the others have resulted, is this one.
    static bool ends_with(int library, int reason) noexcept {
        const unsigned long last = ERR_peek_last_error();
        return ERR_GET_LIB(last) == library && ERR_GET_REASON(last) == reason;
    }
};

}  // namespace asyncio::tls::engine
