#pragma once
// The other side of a connection, made of OpenSSL directly: a peer that can do what this library
// never does.

#include "tls_help.h"

#include <memory>
#include <string>

namespace tls_test {

/// A server that speaks TLS over a plain stream, or a client.
class RawPeer {
public:
    RawPeer(ChannelPtr channel, tls::Version newest);
    /// A client that asks for `name`, trusts everybody, and has no certificate. It presents the
    /// session of `earlier`, whatever the name of that was.
    RawPeer(ChannelPtr channel, tls::Version newest, const char* name, const RawPeer* earlier);
    ~RawPeer();

    Coro<> handshake();
    /// At least one byte; "" at the end of any kind.
    Coro<std::string> read();
    Coro<> write(std::string bytes);

    /// Asks for new keys, and for an answer. TLS 1.3 only. Puts the message behind what was written
    /// last; `flush` sends it.
    void update_keys();
    /// Asks the client for a new handshake. TLS 1.2 only.
    bool renegotiate();
    /// Gives the client a session that is so large that it comes in several records.
    void give_large_session();
    /// Puts close_notify behind what was written last.
    void say_goodbye();
    Coro<> flush();
    /// What `write` and the functions above have put together, without sending it.
    std::string take_output();
    /// Encrypts without sending.
    void encrypt(const std::string& bytes);
    bool is_resumed() const;
    /// Whether the other side has sent close_notify, as far as this side has read.
    bool got_goodbye() const;

    /// The plain stream below.
    Streams& plain() { return *plain_; }

private:
    struct Ssl;

    Coro<bool> more();

    std::unique_ptr<Streams> plain_;
    std::unique_ptr<Ssl> ssl_;
};

}  // namespace tls_test
