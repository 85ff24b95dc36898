#include "certificates.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace tls_test {
namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    throw std::runtime_error(std::string("certificates: ") + what + ": " + text);
}

std::string text_of(BIO* bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    std::string text(bytes, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
}

void add_extension(X509* certificate, X509* issuer, const std::string& name,
                   const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf(nullptr, &context, name.c_str(), value.c_str());
    require(extension != nullptr, name.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

void add_names(X509* certificate, const Request& request) {
    if (request.dns.empty() && request.addresses.empty()) return;
    GENERAL_NAMES* names = sk_GENERAL_NAME_new_null();
    for (const std::string& dns : request.dns) {
        ASN1_IA5STRING* text = ASN1_IA5STRING_new();
        ASN1_STRING_set(text, dns.data(), static_cast<int>(dns.size()));
        GENERAL_NAME* name = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        sk_GENERAL_NAME_push(names, name);
    }
    for (const std::string& address : request.addresses) {
        GENERAL_NAME* name = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(name, GEN_IPADD, a2i_IPADDRESS(address.c_str()));
        sk_GENERAL_NAME_push(names, name);
    }
    require(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1, "names");
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

EVP_PKEY* make_key(int rsa_bits) {
    EVP_PKEY* key =
        rsa_bits == 0 ? EVP_EC_gen("P-256") : EVP_RSA_gen(static_cast<unsigned>(rsa_bits));
    require(key != nullptr, "key");
    return key;
}

}  // namespace

struct Issued::Parts {
    EVP_PKEY* key = nullptr;
    X509* certificate = nullptr;
    std::shared_ptr<Parts> issuer;

    ~Parts() {
        EVP_PKEY_free(key);
        X509_free(certificate);
    }
};

Issued::Issued(const Request& request, const Issued* issuer) : parts_(std::make_shared<Parts>()) {
    parts_->key = make_key(request.rsa_bits);
    parts_->certificate = X509_new();
    X509* const made = parts_->certificate;
    if (issuer != nullptr) parts_->issuer = issuer->parts_;
    X509* const signer = issuer != nullptr ? issuer->parts_->certificate : made;
    EVP_PKEY* const signing_key = issuer != nullptr ? issuer->parts_->key : parts_->key;

    X509_set_version(made, X509_VERSION_3);
    long serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), 4);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial);
    X509_gmtime_adj(X509_getm_notBefore(made), request.valid_from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(made), request.valid_until_seconds);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(request.common_name.c_str()),
                               -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(signer));
    X509_set_pubkey(made, parts_->key);

    std::string constraints = request.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE";
    if (request.path_length) constraints += ",pathlen:" + std::to_string(*request.path_length);
    add_extension(made, signer, "basicConstraints", constraints);
    if (request.is_authority)
        add_extension(made, signer, "keyUsage", "critical,keyCertSign,cRLSign");
    add_extension(made, signer, "subjectKeyIdentifier", "hash");
    if (issuer != nullptr) add_extension(made, signer, "authorityKeyIdentifier", "keyid");
    add_names(made, request);
    for (const auto& [name, value] : request.extensions) add_extension(made, signer, name, value);
    require(X509_sign(made, signing_key, EVP_get_digestbyname(request.digest)) > 0, "sign");
}

std::string Issued::certificate_pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, parts_->certificate);
    return text_of(bio);
}

std::string Issued::chain_pem() const {
    std::string chain = certificate_pem();
    for (const Parts* part = parts_->issuer.get(); part != nullptr && part->issuer != nullptr;
         part = part->issuer.get()) {
        BIO* bio = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(bio, part->certificate);
        chain += text_of(bio);
    }
    return chain;
}

std::string Issued::key_pem(const std::string& password) const {
    BIO* bio = BIO_new(BIO_s_mem());
    const auto* const bytes = reinterpret_cast<const unsigned char*>(password.data());
    PEM_write_bio_PrivateKey(bio, parts_->key, password.empty() ? nullptr : EVP_aes_128_cbc(),
                             password.empty() ? nullptr : bytes, static_cast<int>(password.size()),
                             nullptr, nullptr);
    return text_of(bio);
}

std::string Issued::revocation_status(bool is_revoked, long valid_from_seconds,
                                      long valid_until_seconds) const {
    const Parts& issuer = *parts_->issuer;
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), parts_->certificate, issuer.certificate);
    ASN1_TIME* from = X509_gmtime_adj(nullptr, valid_from_seconds);
    ASN1_TIME* until = X509_gmtime_adj(nullptr, valid_until_seconds);
    OCSP_basic_add1_status(
        basic, id, is_revoked ? V_OCSP_CERTSTATUS_REVOKED : V_OCSP_CERTSTATUS_GOOD,
        OCSP_REVOKED_STATUS_KEYCOMPROMISE, is_revoked ? from : nullptr, from, until);
    require(OCSP_basic_sign(basic, issuer.certificate, issuer.key, EVP_sha256(), nullptr, 0) == 1,
            "sign the response");
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &bytes);
    std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return der;
}

std::string Issued::revocation_list(const std::vector<Issued>& revoked, long valid_from_seconds,
                                    long valid_until_seconds) const {
    X509_CRL* list = X509_CRL_new();
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(parts_->certificate));
    ASN1_TIME* from = X509_gmtime_adj(nullptr, valid_from_seconds);
    ASN1_TIME* until = X509_gmtime_adj(nullptr, valid_until_seconds);
    X509_CRL_set1_lastUpdate(list, from);
    X509_CRL_set1_nextUpdate(list, until);
    for (const Issued& one : revoked) {
        X509_REVOKED* entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one.parts_->certificate));
        X509_REVOKED_set_revocationDate(entry, from);
        X509_CRL_add0_revoked(list, entry);
    }
    require(X509_CRL_sign(list, parts_->key, EVP_sha256()) > 0, "sign the list");
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509_CRL(bio, list);
    X509_CRL_free(list);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return text_of(bio);
}

const Issued& root() {
    static const Issued made({.common_name = "root of the tests", .is_authority = true});
    return made;
}

const Issued& good_server() {
    static const Issued made({.common_name = "server", .dns = {"example.test"}}, &root());
    return made;
}

const Issued& good_client() {
    static const Issued made({.common_name = "client", .dns = {"client.test"}}, &root());
    return made;
}

TemporaryFile::TemporaryFile(const std::string& text) : path_("/tmp/asyncio-tls-XXXXXX") {
    const int fd = ::mkstemp(path_.data());
    require(fd >= 0, "temporary file");
    ::close(fd);
    std::ofstream(path_, std::ios::binary) << text;
}

TemporaryFile::~TemporaryFile() { ::unlink(path_.c_str()); }

std::string TemporaryFile::text() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

unsigned long left_error() { return ERR_peek_error(); }

void leave_error() { ERR_raise(ERR_LIB_EVP, EVP_R_BAD_DECRYPT); }

}  // namespace tls_test
