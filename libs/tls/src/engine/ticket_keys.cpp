#include "engine/ticket_keys.h"

#include "engine/context_state.h"
#include "engine/engine.h"

#include <algorithm>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace asyncio::tls::engine {
namespace {

/// HMAC with SHA-256, which RFC 5077 recommends. OpenSSL takes the key as one that it may change,
/// and only reads it.
bool set_mac_key(EVP_MAC_CTX* mac, unsigned char* key, std::size_t size) noexcept {
    char digest[] = "SHA256";
    const OSSL_PARAM settings[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, size),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, settings) == 1;
}

/// Fills `bytes`. False if the system has no random numbers.
template <class Bytes>
bool is_random(Bytes& bytes) noexcept {
    return RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
}

}  // namespace

/// Memory that is freed may reach a core dump or another part of the program.
TicketKeys::~TicketKeys() {
    OPENSSL_cleanse(&current_, sizeof current_);
    OPENSSL_cleanse(&previous_, sizeof previous_);
}

/// The time is that of the connection's loop, so simulated time changes the keys, too.
int TicketKeys::use(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int seals) noexcept {
    TicketKeys& keys = *ContextState::of(SSL_get_SSL_CTX(ssl)).ticket_keys;
    const TimePoint now = Engine::of(ssl).now();
    const std::lock_guard lock(keys.mutex_);
    keys.drop_old(now);
    if (seals == 1) return keys.seal(now, name, iv, cipher, mac);
    const Answer answer = keys.open(now, name, iv, cipher, mac);
    // A ticket of TLS 1.3 is used once, so the client needs a new one in any case.
    return answer == done && SSL_version(ssl) == TLS1_3_VERSION ? renew : answer;
}

/// A ticket gets a new initialisation vector, since many are sealed with one key.
TicketKeys::Answer TicketKeys::seal(TimePoint now, unsigned char* name, unsigned char* iv,
                                    EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) noexcept {
    if (!current_.is_there && !make_current(now)) return failed;
    const int iv_size = EVP_CIPHER_get_iv_length(EVP_aes_256_cbc());
    if (RAND_bytes(iv, iv_size) != 1 ||
        EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, current_.cipher.data(), iv) != 1 ||
        !set_mac_key(mac, current_.mac.data(), current_.mac.size()))
        return failed;
    std::copy(current_.name.begin(), current_.name.end(), name);
    return done;
}

/// OpenSSL has the MAC checked before it opens the ticket. The name of a key is no secret.
TicketKeys::Answer TicketKeys::open(TimePoint now, const unsigned char* name,
                                    const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                                    EVP_MAC_CTX* mac) noexcept {
    for (Key* key : {&current_, &previous_}) {
        if (!key->is_there || !std::equal(key->name.begin(), key->name.end(), name)) continue;
        if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv) != 1 ||
            !set_mac_key(mac, key->mac.data(), key->mac.size()))
            return failed;
        return now - key->made < lifetime_ ? done : renew;
    }
    return unknown;
}

/// Both lifetimes are counted from when a key was made. The sum of two lifetimes is not computed,
/// since it may not fit.
void TicketKeys::drop_old(TimePoint now) noexcept {
    if (current_.is_there && now - current_.made >= lifetime_) {
        previous_ = current_;
        OPENSSL_cleanse(&current_, sizeof current_);
        current_ = Key();
    }
    if (previous_.is_there && now - previous_.made - lifetime_ >= lifetime_) {
        OPENSSL_cleanse(&previous_, sizeof previous_);
        previous_ = Key();
    }
}

/// Without random numbers there is no key, and the handshake fails. A key that can be guessed would
/// be worse.
bool TicketKeys::make_current(TimePoint now) noexcept {
    if (!is_random(current_.name) || !is_random(current_.cipher) || !is_random(current_.mac))
        return false;
    current_.made = now;
    current_.is_there = true;
    return true;
}

}  // namespace asyncio::tls::engine
