#pragma once
// Certificates for tests, made when they are needed. None is checked in, so none expires.
//
// This file and certificates.cpp use OpenSSL directly, and so does raw_peer.cpp; all other tests
// use the public headers.

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tls_test {

/// What a certificate says. The defaults make a good certificate of a server.
struct Request {
    std::string common_name = "test";
    /// Alternative names, byte for byte: a NUL is possible.
    std::vector<std::string> dns = {};
    std::vector<std::string> addresses = {};
    /// From now on.
    long valid_from_seconds = -3600;
    long valid_until_seconds = 24 * 3600;
    bool is_authority = false;
    /// For an authority: how many authorities may stand below it.
    std::optional<int> path_length = std::nullopt;
    /// 0: an elliptic curve, which is made in no time.
    int rsa_bits = 0;
    const char* digest = "SHA256";
    /// Extensions in OpenSSL's notation: {"extendedKeyUsage", "clientAuth"}.
    std::vector<std::pair<std::string, std::string>> extensions = {};
};

/// A certificate and its key.
class Issued {
public:
    /// Signed by `issuer`, or by itself.
    explicit Issued(const Request& request, const Issued* issuer = nullptr);

    /// With all issuers except the root behind it.
    std::string chain_pem() const;
    std::string certificate_pem() const;
    /// With a password the key is encrypted.
    std::string key_pem(const std::string& password = {}) const;
    /// An OCSP response about this certificate, signed by its issuer.
    std::string revocation_status(bool is_revoked, long valid_from_seconds = -60,
                                  long valid_until_seconds = 3600) const;
    /// A list of the certificates that this issuer has revoked, in PEM.
    std::string revocation_list(const std::vector<Issued>& revoked, long valid_from_seconds = -60,
                                long valid_until_seconds = 3600) const;

private:
    struct Parts;

    std::shared_ptr<Parts> parts_;
};

/// The root that the tests trust; one for the process.
const Issued& root();
/// A server's certificate for example.test, signed by the root.
const Issued& good_server();
/// A client's certificate, signed by the root.
const Issued& good_client();

/// A file in a folder of the test, removed at the end of the object.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& text);
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile();

    const std::string& path() const { return path_; }
    std::string text() const;

private:
    std::string path_;
};

/// The errors that OpenSSL has left on this thread; 0 if there is none.
unsigned long left_error();
/// Leaves an error on this thread, as other code that uses OpenSSL may do.
void leave_error();

}  // namespace tls_test
