#include "engine/credentials.h"

#include <asyncio/exceptions.h>
#include <asyncio/tls/errors.h>

#include "engine/words.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace asyncio::tls::engine {
namespace {

/// A text in PEM, and what to call it in an error.
struct Text {
    std::string bytes;
    std::string name;
};

/// A file is read as a whole. Certificates are small, and an error can then name the file, whatever
/// is wrong with it.
Text read_text(std::string_view file, std::string_view pem, const char* what) {
    if (!file.empty() && !pem.empty())
        throw std::invalid_argument(std::string("tls: ") + what + " is given as a file and a text");
    if (file.empty()) return {std::string(pem), std::string("the text of ") + what};
    const std::string path(file);
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (!stream.is_open() || stream.bad())
        throw OsError(errno != 0 ? errno : EIO, std::string("read ") + what + " from " + path);
    return {std::move(bytes), std::string(what) + " in " + path};
}

/// Without a copy: `bytes` must outlive the BIO.
BioPtr bio_of(const std::string& bytes) {
    BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    if (bio == nullptr) throw std::bad_alloc();
    return bio;
}

/// `what` is the text that was loaded, as its name says it.
[[noreturn]] void refuse(const std::string& what, const std::string& why) {
    throw TlsError("tls: " + what + " cannot be used: " + why);
}

/// The last certificate has been read: the rest of a text has none. Any other error is one.
bool at_end_of_pem() noexcept {
    const unsigned long last = ERR_peek_last_error();
    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

/// OpenSSL calls this for an encrypted key. Without it, it would ask the terminal, and the program
/// would wait there. An empty password is none: keys with an empty password do not occur.
int give_password(char* into, int size, int, void* given) noexcept {
    const auto& password = *static_cast<const std::string_view*>(given);
    if (password.empty() || password.size() > static_cast<std::size_t>(size)) return -1;
    std::memcpy(into, password.data(), password.size());
    return static_cast<int>(password.size());
}

/// The first certificate is the own one, and the others are its issuers, in any order. The root may
/// be among them; peers do not need it.
void use_certificates(SSL_CTX* context, const Text& text) {
    const BioPtr bio = bio_of(text.bytes);
    const CertificatePtr own(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
    if (own == nullptr)
        refuse(text.name, at_end_of_pem() ? "it has no certificate in PEM"
                                          : words_for_error(ErrorQueue::first()));
    if (SSL_CTX_use_certificate(context, own.get()) != 1)
        refuse(text.name, words_for_error(ErrorQueue::first()));
    for (;;) {
        CertificatePtr issuer(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
        if (issuer == nullptr) break;
        if (SSL_CTX_add0_chain_cert(context, issuer.get()) != 1)
            refuse(text.name, words_for_error(ErrorQueue::first()));
        static_cast<void>(issuer.release());
    }
    if (!at_end_of_pem()) refuse(text.name, words_for_error(ErrorQueue::first()));
}

/// OpenSSL compares the key with the certificate that was loaded before.
void use_key(SSL_CTX* context, const Text& text, std::string_view password) {
    const ErrorQueue errors;
    const BioPtr bio = bio_of(text.bytes);
    const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &give_password, &password));
    if (key == nullptr) {
        const bool is_encrypted = text.bytes.find("ENCRYPTED") != std::string::npos;
        refuse(text.name, is_encrypted ? "the key is encrypted, and the password is missing or "
                                         "wrong"
                                       : "it has no private key in PEM");
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
        refuse(text.name, "the key does not belong to the certificate");
}

/// Adds every certificate of a text to the store, and at a server to the names that it tells its
/// clients, by which a client chooses its certificate.
void trust(SSL_CTX* context, const Text& text, bool is_server) {
    const BioPtr bio = bio_of(text.bytes);
    int certificates = 0;
    for (;; ++certificates) {
        const CertificatePtr trusted(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
        if (trusted == nullptr) break;
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), trusted.get()) != 1 ||
            (is_server && SSL_CTX_add_client_CA(context, trusted.get()) != 1))
            refuse(text.name, words_for_error(ErrorQueue::first()));
    }
    if (!at_end_of_pem()) refuse(text.name, words_for_error(ErrorQueue::first()));
    if (certificates == 0) refuse(text.name, "it has no certificate in PEM");
}

}  // namespace

/// Certificates and key in one file are as common as two files, so a missing key means the first.
bool load_identity(SSL_CTX* context, const ContextOptions& options) {
    if (options.certificate_file.empty() && options.certificate_pem.empty()) {
        if (!options.key_file.empty() || !options.key_pem.empty())
            throw std::invalid_argument("tls: there is a key and no certificate");
        return false;
    }
    const ErrorQueue errors;
    const Text certificates =
        read_text(options.certificate_file, options.certificate_pem, "the certificate");
    use_certificates(context, certificates);
    const bool has_own_text = !options.key_file.empty() || !options.key_pem.empty();
    use_key(context,
            has_own_text ? read_text(options.key_file, options.key_pem, "the key") : certificates,
            options.password);
    return true;
}

/// What the program names replaces the certificates of the system, and is not added to them: a
/// program that names its own root does not want to trust a hundred others as well.
void load_trusted(SSL_CTX* context, const ContextOptions& options, bool is_server) {
    const ErrorQueue errors;
    const bool has_text = !options.ca_file.empty() || !options.ca_pem.empty();
    if (has_text) {
        trust(context, read_text(options.ca_file, options.ca_pem, "the trusted certificates"),
              is_server);
    }
    if (!options.ca_directory.empty()) {
        const std::string directory(options.ca_directory);
        if (SSL_CTX_load_verify_dir(context, directory.c_str()) != 1)
            refuse("the folder " + directory, words_for_error(ErrorQueue::first()));
    }
    if (has_text || !options.ca_directory.empty()) return;
    if (!is_server) {
        // The system may have none. Then every certificate is refused, which says it clearly.
        static_cast<void>(SSL_CTX_set_default_verify_paths(context));
    } else if (options.verify.value_or(Verify::none) != Verify::none) {
        throw std::invalid_argument("tls: a server that verifies its clients needs ca_file, ca_pem "
                                    "or ca_directory");
    }
}

/// A list is believed because an issuer of the chain has signed it, and not because of where it
/// came from. OpenSSL checks that in each handshake.
void load_revocation_lists(SSL_CTX* context, const ContextOptions& options) {
    if (options.revocation_list_file.empty() && options.revocation_list_pem.empty()) return;
    const ErrorQueue errors;
    const Text text = read_text(options.revocation_list_file, options.revocation_list_pem,
                                "the list of revoked certificates");
    const BioPtr bio = bio_of(text.bytes);
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    int lists = 0;
    for (;; ++lists) {
        const RevocationListPtr list(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
        if (list == nullptr) break;
        if (X509_STORE_add_crl(store, list.get()) != 1)
            refuse(text.name, words_for_error(ErrorQueue::first()));
    }
    if (!at_end_of_pem()) refuse(text.name, words_for_error(ErrorQueue::first()));
    if (lists == 0) refuse(text.name, "it has no list of revoked certificates in PEM");
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

}  // namespace asyncio::tls::engine
