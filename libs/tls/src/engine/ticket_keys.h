#pragma once
// The keys under which a server seals the sessions that it gives to its clients as tickets.
//
// A server keeps no sessions: a client brings its session along, sealed by the server. A thief of
// the sealing key can read every ticket that it has sealed, and with TLS 1.2 also the connections
// that these tickets resumed. So the keys change by time: after its lifetime a key seals no more,
// and opens tickets for a second lifetime. Then it is erased. A ticket is good for two hours, so
// with a lifetime of two hours or more no client loses its session by the change. (OpenSSL alone
// uses one key as long as the context lives.)
//
// The keys are random and are in no other context. A client that meets another process, or the same
// one after a restart, makes a full handshake.
//
// The alternative, a task that changes the keys, would need a loop and would run in servers without
// clients. Here the first use after the lifetime makes the new key.
//
// Thread-safety: any thread.

#include <asyncio/delay.h>

#include "engine/handles.h"

#include <array>
#include <mutex>

namespace asyncio::tls::engine {

class TicketKeys {
public:
    explicit TicketKeys(Duration lifetime) noexcept : lifetime_(lifetime) {}
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;
    /// Erases the keys.
    ~TicketKeys();

    /// The callback of OpenSSL for a ticket that is to be sealed (`seals` is 1) or opened. `name`
    /// stands in the ticket, and says which key it needs.
    static int use(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac, int seals) noexcept;

private:
    struct Key {
        std::array<unsigned char, 16> name{};
        std::array<unsigned char, 32> cipher{};
        std::array<unsigned char, 32> mac{};
        TimePoint made{};
        bool is_there = false;
    };
    /// What OpenSSL wants to hear.
    enum Answer : int { failed = -1, unknown = 0, done = 1, renew = 2 };

    Answer seal(TimePoint now, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac) noexcept;
    Answer open(TimePoint now, const unsigned char* name, const unsigned char* iv,
                EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) noexcept;
    void drop_old(TimePoint now) noexcept;
    bool make_current(TimePoint now) noexcept;

    const Duration lifetime_;
    std::mutex mutex_;
    /// Seals and opens. The other one opens only.
    Key current_;
    Key previous_;
};

}  // namespace asyncio::tls::engine
