#include "raw_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace tls_test {
namespace {

template <class Object, class Read>
Object* read_pem(const std::string& text, Read read) {
    BIO* bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
    Object* object = read(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return object;
}

/// Puts more into a session than a record of the peer holds.
int enlarge(SSL* ssl, void*) {
    const std::string filling(3000, 'x');
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), filling.data(), filling.size());
}

}  // namespace

struct RawPeer::Ssl {
    SSL_CTX* context = SSL_CTX_new(TLS_method());
    SSL* ssl = nullptr;
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());

    ~Ssl() {
        SSL_free(ssl);
        SSL_CTX_free(context);
        ERR_clear_error();
    }
};

RawPeer::RawPeer(ChannelPtr channel, tls::Version newest)
    : plain_(std::make_unique<Streams>(std::move(channel))), ssl_(std::make_unique<Ssl>()) {
    X509* certificate = read_pem<X509>(good_server().certificate_pem(), PEM_read_bio_X509);
    EVP_PKEY* key = read_pem<EVP_PKEY>(good_server().key_pem(), PEM_read_bio_PrivateKey);
    SSL_CTX_use_certificate(ssl_->context, certificate);
    SSL_CTX_use_PrivateKey(ssl_->context, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    SSL_CTX_set_max_proto_version(ssl_->context, newest == tls::Version::tls_1_2 ? TLS1_2_VERSION
                                                                                 : TLS1_3_VERSION);
    ssl_->ssl = SSL_new(ssl_->context);
    SSL_set_bio(ssl_->ssl, ssl_->in, ssl_->out);
    SSL_set_accept_state(ssl_->ssl);
}

RawPeer::RawPeer(ChannelPtr channel, tls::Version newest, const char* name, const RawPeer* earlier)
    : plain_(std::make_unique<Streams>(std::move(channel))), ssl_(std::make_unique<Ssl>()) {
    SSL_CTX_set_max_proto_version(ssl_->context, newest == tls::Version::tls_1_2 ? TLS1_2_VERSION
                                                                                 : TLS1_3_VERSION);
    ssl_->ssl = SSL_new(ssl_->context);
    SSL_set_bio(ssl_->ssl, ssl_->in, ssl_->out);
    SSL_set_tlsext_host_name(ssl_->ssl, name);
    if (earlier != nullptr) {
        SSL_SESSION* session = SSL_get1_session(earlier->ssl_->ssl);
        SSL_SESSION* copy = SSL_SESSION_dup(session);
        EXPECT_EQ(SSL_SESSION_set1_hostname(copy, name), 1);
        EXPECT_EQ(SSL_set_session(ssl_->ssl, copy), 1);
        SSL_SESSION_free(copy);
        SSL_SESSION_free(session);
    }
    SSL_set_connect_state(ssl_->ssl);
}

RawPeer::~RawPeer() = default;

Coro<bool> RawPeer::more() {
    co_await flush();
    const std::string bytes = co_await plain_->reader.read(100'000);
    BIO_write(ssl_->in, bytes.data(), static_cast<int>(bytes.size()));
    co_return !bytes.empty();
}

Coro<> RawPeer::handshake() {
    for (;;) {
        ERR_clear_error();
        if (SSL_do_handshake(ssl_->ssl) == 1) break;
        const bool came = co_await more();
        if (!came) throw std::runtime_error("the raw peer's handshake has failed");
    }
    co_await flush();
}

Coro<std::string> RawPeer::read() {
    std::string bytes(20'000, '\0');
    for (;;) {
        ERR_clear_error();
        const int size = SSL_read(ssl_->ssl, bytes.data(), static_cast<int>(bytes.size()));
        if (size > 0) {
            bytes.resize(static_cast<std::size_t>(size));
            co_return bytes;
        }
        if (SSL_get_error(ssl_->ssl, size) != SSL_ERROR_WANT_READ) break;
        const bool came = co_await more();
        if (!came) break;
    }
    co_return "";
}

void RawPeer::encrypt(const std::string& bytes) {
    ERR_clear_error();
    EXPECT_GT(SSL_write(ssl_->ssl, bytes.data(), static_cast<int>(bytes.size())), 0);
}

Coro<> RawPeer::write(std::string bytes) {
    encrypt(bytes);
    co_await flush();
}

void RawPeer::update_keys() {
    EXPECT_EQ(SSL_key_update(ssl_->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    EXPECT_EQ(SSL_do_handshake(ssl_->ssl), 1);
}

bool RawPeer::renegotiate() {
    return SSL_renegotiate(ssl_->ssl) == 1 && SSL_do_handshake(ssl_->ssl) == 1;
}

void RawPeer::give_large_session() {
    SSL_CTX_set_session_ticket_cb(ssl_->context, &enlarge, nullptr, nullptr);
    SSL_set_max_send_fragment(ssl_->ssl, 512);
    EXPECT_EQ(SSL_new_session_ticket(ssl_->ssl), 1);
    EXPECT_EQ(SSL_do_handshake(ssl_->ssl), 1);
}

void RawPeer::say_goodbye() { SSL_shutdown(ssl_->ssl); }

std::string RawPeer::take_output() {
    std::string bytes(BIO_ctrl_pending(ssl_->out), '\0');
    BIO_read(ssl_->out, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

Coro<> RawPeer::flush() {
    std::string bytes = take_output();
    if (!bytes.empty()) co_await plain_->writer.send(std::move(bytes));
}

bool RawPeer::is_resumed() const { return SSL_session_reused(ssl_->ssl) == 1; }

bool RawPeer::got_goodbye() const {
    return (SSL_get_shutdown(ssl_->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

}  // namespace tls_test
