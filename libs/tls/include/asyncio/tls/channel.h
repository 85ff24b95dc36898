#pragma once
// A TLS connection over another channel.
//
// Three parts. The engine (`src/engine`) is OpenSSL between buffers: ciphertext goes in and comes
// out, plaintext goes in and comes out, and it knows nothing of channels and loops. The channel in
// this file moves the ciphertext between the engine and an inner channel. The streams above move
// the plaintext, and cannot tell this channel from another one. The inner channel may be anything:
// a socket, bytes in memory, or another TLS connection.
//
//     StreamReader  ◄── plaintext ──┐              ┌── ciphertext ──  read of the inner channel
//                                   ├── engine ◄───┤
//     StreamWriter  ─── plaintext ──┘              └── ciphertext ─►  write of the inner channel
//
// Reading. The inner channel is read only while something waits for it: a read of the program, the
// handshake, or the end. So a program that does not read exerts back-pressure through TLS, and at
// most one read of the inner channel, 64 KiB, is buffered as ciphertext. (Python stops at 256 KiB.)
//
// Writing. A write encrypts at most 64 KiB, and is finished when the inner channel has taken all
// of its ciphertext. So nothing is buffered that the streams do not know of: when `drain` or `send`
// returns, the bytes are with the kernel. A write that was encrypted cannot be taken back, so a
// cancellation that comes later finds it done.
//
// Both directions may need the other one. The engine writes on its own: tickets, answers to a
// request for new keys, alerts. It may have to read before it can write: a message of the handshake
// protocol that has come in part. `step` is one function for all of this. It lets each part go on
// as far as it can, as long as bytes move.
//
// The end. The close of the writing side sends close_notify behind the bytes that were written;
// reading goes on. When both sides are closed, the channel waits for the peer's close_notify, drops
// data that still comes, and then closes the inner channel. The wait matters: an inner socket that
// is closed with unread bytes in it is reset, and the reset can destroy bytes on their way to the
// peer. The wait ends at the latest after `shutdown_timeout`, since a peer need not answer. After
// an `abort`, which also comes when the loop closes, there is no wait and no close_notify: the peer
// sees a ragged end, and knows that bytes may be missing.
//
// Thread-safety: loop thread only.

#include <asyncio/address.h>
#include <asyncio/coro.h>
#include <asyncio/delay.h>
#include <asyncio/lowlevel/alarm.h>
#include <asyncio/lowlevel/channel.h>
#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/tls/context.h>
#include <asyncio/tls/info.h>

#include <chrono>
#include <coroutine>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::tls {

class TlsChannel;

namespace engine {
class Engine;
}

/// How a connection is made.
struct TlsOptions {
    /// The name or address of the server, for a client. It is sent to the server (unless it is an
    /// address), and its certificate must be for it. A name with other characters than ASCII must
    /// be given in its ASCII form. Python: `server_hostname`.
    std::string_view server_hostname = {};
    /// Tells servers of one name apart for the resumption of sessions, usually by the port.
    std::string_view session_key = {};
    /// The longest time that the handshake may take. Must be positive.
    Delay handshake_timeout = std::chrono::seconds(60);
    /// The longest time that the end may wait for the peer. Must be positive, as in Python: with no
    /// time at all close_notify and the last bytes may not be sent. To end without a wait, `abort`.
    Delay shutdown_timeout = std::chrono::seconds(30);
};

/// The awaiter of `TlsChannel::handshake`. The handshake is one operation of the channel, however
/// many bytes go back and forth, so the task that awaits it is woken once.
class HandshakeAwaiter final : public lowlevel::OperationAwaiter {
public:
    explicit HandshakeAwaiter(TlsChannel& channel) noexcept : channel_(channel) {}
    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        suspend(coroutine, &abort);
    }
    void await_resume();

private:
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;

    TlsChannel& channel_;
};

/// A TLS connection. Programs get one from `start_tls`, after the handshake.
/// Python: `ssl.SSLObject`, and the `SSLProtocol` of asyncio.
class [[gnu::visibility("default")]] TlsChannel final
    : public lowlevel::Channel,
      public std::enable_shared_from_this<TlsChannel>,
      private lowlevel::Alarm<TlsChannel> {
public:
    /// A connection that has not begun. `unread` are bytes of the peer that were read from the
    /// inner channel before. They are ciphertext: the first bytes of the handshake.
    /// Throws: `std::invalid_argument` if there is no context or no channel, if a limit is not
    /// positive, if a client has no `server_hostname` to check or a server has one, or if the name
    /// is malformed.
    TlsChannel(EventLoop& loop, std::shared_ptr<lowlevel::Channel> inner, const Context& context,
               const TlsOptions& options, std::string_view unread = {});
    ~TlsChannel() override;

    /// The handshake: `co_await channel->handshake()`. Nothing is read or written before. There is
    /// no limit of time; `start_tls` sets one.
    ///
    /// Throws: CertificateError and TlsError; OsError if the inner channel fails, with ECONNRESET
    /// if it ends. The peer is told the reason by an alert before this throws.
    /// Cancellation: a cancellation point if it must wait. The connection is of no use afterwards:
    /// call `abort`.
    lowlevel::Awaiting<HandshakeAwaiter, TlsChannel&> handshake() {
        return lowlevel::Awaiting<HandshakeAwaiter, TlsChannel&>(*this);
    }

    /// What was negotiated. Before the end of the handshake the result is incomplete.
    ConnectionInfo info() const;
    /// How the peer has ended the stream, as far as the program has read.
    End end() const noexcept;

    // The contract of a channel.

    /// `TLS to "example.org"`, and after a failure the reason behind it.
    std::string name() const override;
    Submitted submit(lowlevel::Operation& operation) noexcept override;
    void cancel(lowlevel::Operation& operation) noexcept override;
    Submitted close(Side side, lowlevel::Operation& operation) noexcept override;
    /// Ends the connection without waiting: what is not sent is dropped, close_notify included, and
    /// the inner channel is closed. Needs no task, and no close afterwards.
    void abort() noexcept override;
    bool is_connection() const noexcept override { return true; }
    /// A handler's own stream over a connection of a server ends as the server's would.
    bool sends_rest_when_dropped() const noexcept override {
        return inner_->sends_rest_when_dropped();
    }
    Address peer() const override { return inner_->peer(); }
    Address local() const override { return inner_->local(); }
    // fd() is −1, although the inner channel may have a descriptor: bytes that are written to it
    // directly, by sendfile for example, would not be encrypted.

private:
    friend Alarm;
    friend HandshakeAwaiter;

    /// An operation of this channel on the inner one. It lets the callback, which knows the
    /// operation alone, find the channel.
    struct InnerOperation : lowlevel::Operation {
        TlsChannel* channel = nullptr;
    };

    Submitted begin(lowlevel::Operation& operation) noexcept;
    Submitted begin_handshake(lowlevel::Operation& operation) noexcept;
    [[noreturn]] void throw_handshake_failure(int error) const;

    // What `step` consists of. The names say what each part goes on with; none of them waits.
    void step() noexcept;
    void go_on_with_handshake() noexcept;
    void go_on_with_write() noexcept;
    void go_on_with_read() noexcept;
    void go_on_with_end() noexcept;
    bool send() noexcept;
    bool receive() noexcept;

    bool all_sent() const noexcept;
    bool may_send() const noexcept { return send_error_ == 0 && !gave_up_; }

    // The end.
    void say_goodbye() noexcept;
    bool waits_for_peer() noexcept;
    bool peer_has_ended() noexcept;
    bool is_wait_limited() noexcept;
    bool both_sides_closed() const noexcept { return reading_closed_ && writing_closed_; }
    void give_up() noexcept;
    void close_inner() noexcept;
    void inner_is_closed() noexcept;
    void settle_closes() noexcept;
    void alarm_rings() noexcept;

    // Results and reports. `settle` gives an operation its result; the others tell the streams.
    void settle(lowlevel::Operation*& wanted, int result) noexcept;
    void report_later() noexcept;
    void report_now() noexcept;
    static void inner_reported(lowlevel::Operation& operation) noexcept;
    void take_over(InnerOperation& operation) noexcept;
    void sent(int result) noexcept;
    void received(int result) noexcept;
    /// An operation of the inner channel is in use until `take_over` has seen its result. It may
    /// be finished before: the back-end finishes several operations in one wait, and they are
    /// reported one after the other.
    static bool is_in_use(const lowlevel::Operation& operation) noexcept {
        return operation.state != lowlevel::Operation::State::idle;
    }
    bool anything_in_flight() const noexcept;
    void hold() noexcept;
    void let_go() noexcept;

    std::shared_ptr<lowlevel::Channel> inner_;
    std::unique_ptr<engine::Engine> engine_;
    /// Reports what is settled inside a call of a stream.
    lowlevel::ChannelReports reports_;
    Duration shutdown_timeout_;

    /// The operations that the program waits for; null if there is none.
    lowlevel::Operation* handshake_ = nullptr;
    lowlevel::Operation* read_ = nullptr;
    lowlevel::Operation* write_ = nullptr;
    lowlevel::Operation* close_reading_ = nullptr;
    lowlevel::Operation* close_writing_ = nullptr;
    /// Operations that have their results and are not reported yet. Empty outside the functions
    /// that call `step`.
    lowlevel::OperationList settled_;

    InnerOperation inner_read_;
    InnerOperation inner_write_;
    InnerOperation inner_close_;
    /// Reported in the next iteration of the loop: the channel has received much without a wait,
    /// and other tasks run first.
    InnerOperation rest_;

    /// What `inner_write_` sends: ciphertext that has left the engine. It does not change while the
    /// operation is in flight.
    std::string outgoing_;
    std::size_t outgoing_sent_ = 0;
    /// How many bytes of `write_` are encrypted.
    std::size_t encrypted_ = 0;

    /// The errno with which writing to the inner channel, or reading from it, has failed; 0 while
    /// it has not.
    int send_error_ = 0;
    int receive_error_ = 0;
    /// The errno for the close of the writing side.
    int close_error_ = 0;
    /// A part of `step` cannot go on without more bytes of the peer.
    bool needs_input_ = false;
    /// The inner channel has ended.
    bool input_ended_ = false;
    bool established_ = false;
    bool reading_closed_ = false;
    bool writing_closed_ = false;
    bool said_goodbye_ = false;
    /// Nothing waits for the peer any more, and nothing is sent or received.
    bool gave_up_ = false;
    bool inner_close_begun_ = false;
    bool inner_closed_ = false;
    /// The program has read to the end, and whether the peer had said that it is the end.
    bool read_ended_ = false;
    bool clean_end_ = false;
    /// Keeps the channel alive while an operation on the inner channel is in flight.
    std::shared_ptr<TlsChannel> self_;
};

/// Makes a TLS connection over `inner`, as the client or the server that `context` is for, and
/// returns it after the handshake. The channel takes `inner` over: no other object may use it.
///
/// `unread` are bytes that were read from `inner` already. They belong to the handshake, so bytes
/// that a peer has sent too early are neither lost nor taken for plaintext.
/// The context, the name and the limits are checked by the call itself.
/// Throws: `std::invalid_argument` for bad options. When awaited: CertificateError, TlsError,
/// OsError, as `TlsChannel::handshake`; TimeoutError after `handshake_timeout`.
/// Cancellation: a cancellation point if it must wait. After a cancellation or an error `inner` is
/// closed.
/// Python: `loop.start_tls`.
Coro<std::shared_ptr<TlsChannel>> start_tls(std::shared_ptr<lowlevel::Channel> inner,
                                            const Context& context, const TlsOptions& options = {},
                                            std::string_view unread = {});

}  // namespace asyncio::tls
