#pragma once
// The engine of a connection: OpenSSL between buffers. It does no input and no output.
//
// Ciphertext of the peer is given to `take_in`, and ciphertext for the peer is taken out of
// `output`. In between, `handshake`, `read` and `write` go on as far as they can with what has
// come, and say why they stopped. The engine knows no channel and no loop, so tests feed it byte by
// byte, and a fuzzer can, too.
//
// Answers
//   done         the step has happened
//   needs_input  it goes on when more ciphertext has come. `write` may say so, too: OpenSSL does
//                not write while a message of the handshake protocol has come in part
//   ended        the peer has said that the stream ends; from `read` only
//   failed       nothing more will happen. An alert for the peer may stand in the output
//
// OpenSSL's header is included by the sources of this folder and nowhere else. So its types are
// only declared here.
//
// Thread-safety: none. The context that an engine uses may be shared between threads.

#include <asyncio/delay.h>
#include <asyncio/tls/info.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_session_st;
struct x509_store_ctx_st;

namespace asyncio::tls::engine {

struct ContextState;
class Wire;

struct FreeSsl {
    void operator()(ssl_st* ssl) const noexcept;
};

class Engine {
public:
    enum class Progress : std::uint8_t { done, needs_input, ended, failed };

    /// `server_hostname` and `session_key` are those of `TlsOptions`. Throws:
    /// `std::invalid_argument`, `std::bad_alloc`.
    Engine(std::shared_ptr<ContextState> context, std::string_view server_hostname,
           std::string_view session_key);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    /// Ciphertext of the peer. Without memory for it, the connection fails.
    void take_in(std::span<const char> bytes) noexcept;
    /// Ciphertext for the peer. The caller takes the bytes out.
    std::string& output() noexcept;

    /// Goes on with the handshake. `done` means that this side is ready to read and write; with TLS
    /// 1.3 the other side may still refuse it. `now` is the time of the connection's loop.
    Progress handshake(TimePoint now) noexcept;
    /// Decrypts at most `into.size()` bytes, one record at a time. `count` is their number.
    Progress read(std::span<char> into, std::size_t& count) noexcept;
    /// Encrypts all of `bytes`.
    Progress write(std::string_view bytes) noexcept;
    /// Writes close_notify. No effect after a failure.
    void close() noexcept;

    /// The connection waits for the peer: gives memory back. `sent` is a string that was taken out
    /// of `output`; its memory goes with it if it is empty.
    void rest(std::string& sent) noexcept;

    bool failed() const noexcept { return failure_.kind != Failure::Kind::none; }
    /// Why, in fixed words. Empty if it has not failed.
    const char* failure_words() const noexcept { return failure_.words; }
    /// Throws what has failed. `during` is the beginning of the message: "TLS handshake with …".
    [[noreturn]] void throw_failure(const std::string& during) const;

    ConnectionInfo info() const;
    /// `"example.org"`, with the quotes, or "a client".
    const std::string& peer_name() const noexcept { return peer_name_; }

    /// Whether a client of this context cannot do without the name of its server.
    static bool needs_server_hostname(const ContextState& context) noexcept;

    // For the callbacks of OpenSSL.

    /// The engine of a connection of OpenSSL.
    static Engine& of(ssl_st* ssl) noexcept;
    /// Called for every certificate of the peer's chain.
    static int certificate_checked(int is_good, x509_store_ctx_st* store) noexcept;
    /// The certificate at `depth` is refused. OpenSSL stops at the first refusal.
    void note_refusal(int verify_code, int depth) noexcept;
    /// The name for which a client has asked.
    void note_asked_name(std::string_view name) { server_hostname_ = name; }
    /// The time of the handshake's last step.
    TimePoint now() const noexcept { return now_; }
    /// Takes over a session that the server has given.
    void keep_session(ssl_session_st* session) noexcept;

private:
    /// The first failure; there is no second one. It is kept as numbers and fixed words, so that
    /// noting it needs no memory.
    struct Failure {
        enum class Kind : std::uint8_t { none, certificate, alert, protocol, memory };
        Kind kind = Kind::none;
        int alert = -1;
        const char* words = "";
    };

    void keep_renewed_session() noexcept;
    void begin_as_client(std::string_view session_key);
    void set_server_name();
    Progress conclude(int result) noexcept;
    void fail() noexcept;

    /// Held as long as the connection lives: OpenSSL's context has a pointer to it.
    std::shared_ptr<ContextState> context_;
    /// Where OpenSSL reads and writes. Outlives `ssl_`.
    std::unique_ptr<Wire> wire_;
    std::unique_ptr<ssl_st, FreeSsl> ssl_;
    /// A client's: the name of the server without a dot at its end. A server's: the name that the
    /// client has asked for.
    std::string server_hostname_;
    /// For messages: computed once, because a failure may have no memory for it.
    std::string peer_name_;
    /// Empty: sessions are not kept.
    std::string session_key_;
    /// The session that the client wants to resume; only compared, and not followed.
    const ssl_session_st* offered_session_ = nullptr;
    TimePoint now_{};
    Failure failure_;
    /// The refused certificate, and the check that failed; 0 is X509_V_OK.
    int verify_code_ = 0;
    int verify_depth_ = 0;
};

}  // namespace asyncio::tls::engine
