// How the operations of the streams become operations of the inner channel. channel_end.cpp has the
// end of a connection, and the reports.
//
// `step` does everything. It is called when something has changed: an operation was given, an
// operation of the inner channel was reported, a limit has passed. Each part of it looks at the
// state of the channel alone, so the order of events does not matter.
//
//     do
//         handshake, write, read, end: each goes on as far as it can with what the engine has;
//         each may want more input
//     while send() or receive() has moved bytes within the call
//
// The alternative, a coroutine for each direction, reads better at first. It needs a task for every
// connection, and the two coroutines must wait for each other at many places, because each
// direction of TLS may need the other one.
//
// The loop ends: a round that moves no bytes is the last. A peer that sends without an end could
// keep it going, so after some receives without a wait the channel rests for an iteration of the
// loop (`rest_`).
//
// Results. A part settles the operation that it has finished: it writes the result and puts the
// operation on `settled_`. The caller of `step` knows how it may report. Inside `submit`, `cancel`
// and `close` no report is allowed, so these report later, by `reports_`; an operation that was
// given in this call is answered directly. A callback of the loop reports at once (`report_now`).
//
// When the channel may be destroyed. A stream holds the channel until its last operation is
// reported, so that report may destroy the channel. While an operation on the inner channel is in
// flight, the channel holds itself (`self_`): all streams may be gone by then.

#include <asyncio/tls/channel.h>

#include <asyncio/exceptions.h>

#include "engine/engine.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::tls {

using lowlevel::Operation;
using lowlevel::OperationKind;
using Progress = engine::Engine::Progress;
using Submitted = lowlevel::Channel::Submitted;

namespace {

/// The largest record of TLS. The engine decrypts one at a time.
constexpr std::size_t largest_record_bytes = 16 * 1024;
/// How much is encrypted at a time. More would hold the loop for longer than other tasks like to
/// wait, and would need as much memory for the ciphertext.
constexpr std::size_t largest_write_bytes = 64 * 1024;
/// As much as streams ask their channels for.
constexpr std::size_t largest_receive_bytes = 64 * 1024;
/// A peer may demand answers of the protocol, and not read them. If more of them wait, nothing is
/// read from the peer.
constexpr std::size_t most_unsent_bytes = 128 * 1024;

/// An empty context is a mistake of the program, and found here, before a byte is sent.
std::shared_ptr<engine::ContextState> state_of(const Context& context) {
    if (!context) throw std::invalid_argument("tls: a connection needs a context");
    return context.state();
}

/// A limit of zero cannot be kept, and "no limit" is not offered: a peer could keep a connection
/// for ever.
Duration positive(Delay limit, const char* what) {
    if (limit <= Delay())
        throw std::invalid_argument(std::string("tls: ") + what + " must be positive");
    return limit;
}

}  // namespace

/// The engine checks the name. Nothing is sent before the handshake is awaited.
TlsChannel::TlsChannel(EventLoop& loop, std::shared_ptr<Channel> inner, const Context& context,
                       const TlsOptions& options, std::string_view unread)
    : Alarm(loop),
      inner_(std::move(inner)),
      reports_(loop),
      shutdown_timeout_(positive(options.shutdown_timeout, "shutdown_timeout")) {
    if (inner_ == nullptr) throw std::invalid_argument("tls: a connection needs a channel");
    engine_ = std::make_unique<engine::Engine>(state_of(context), options.server_hostname,
                                               options.session_key);
    engine_->take_in(unread);
    for (InnerOperation* operation : {&inner_read_, &inner_write_, &inner_close_, &rest_}) {
        operation->channel = this;
        operation->on_finished = &inner_reported;
    }
    inner_read_.receive = [](Operation& operation, std::span<const char> bytes) noexcept {
        static_cast<InnerOperation&>(operation).channel->engine_->take_in(bytes);
    };
}

/// Here, because the engine is not complete in the header.
TlsChannel::~TlsChannel() = default;

// --- What the program asks for ------------------------------------------------------------------

/// The errors of streams contain the name of the channel. So the reason of a failure reaches the
/// program, although an operation has only a number for its result.
std::string TlsChannel::name() const {
    std::string name = "TLS to " + engine_->peer_name();
    if (engine_->failed()) name.append(" (").append(engine_->failure_words()).append(")");
    return name;
}

/// A copy, which a program may keep longer than the connection.
ConnectionInfo TlsChannel::info() const { return engine_->info(); }

/// Bytes that are still in the engine come before the end, so only a read finds it.
End TlsChannel::end() const noexcept {
    if (clean_end_) return End::clean;
    return read_ended_ ? End::ragged : End::open;
}

/// After its side is closed an operation has its answer at once.
Submitted TlsChannel::submit(Operation& operation) noexcept {
    const bool reads = operation.kind == OperationKind::read;
    if (reads ? reading_closed_ : writing_closed_) {
        operation.result = reads ? 0 : -EPIPE;
        operation.state = Operation::State::finished;
        return Submitted::finished;
    }
    (reads ? read_ : write_) = &operation;
    if (!reads) encrypted_ = 0;
    return begin(operation);
}

/// The handshake is an operation like the others, so a cancellation, an error of the inner channel
/// and the end of the loop reach it in the same way.
Submitted TlsChannel::begin_handshake(Operation& operation) noexcept {
    handshake_ = &operation;
    return begin(operation);
}

/// A close of both sides has one operation. It stands as that of the writing side, which is the one
/// that may take time. A stream has no operation in flight on the side that it closes, but a close
/// of both sides may meet a read.
Submitted TlsChannel::close(Side side, Operation& operation) noexcept {
    if (side != Side::writing) {
        reading_closed_ = true;
        if (read_ != nullptr) settle(read_, 0);
    }
    if (side != Side::reading) {
        writing_closed_ = true;
        if (write_ != nullptr) settle(write_, -EPIPE);
    }
    (side == Side::reading ? close_reading_ : close_writing_) = &operation;
    return begin(operation);
}

/// Lets a new operation go as far as it can. If it was settled on the way, the caller is answered
/// directly, and other operations that were settled, too, are reported later.
Submitted TlsChannel::begin(Operation& operation) noexcept {
    operation.state = Operation::State::in_flight;
    step();
    if (!operation.linked()) {
        report_later();
        return Submitted::in_flight;
    }
    operation.unlink();
    operation.state = Operation::State::finished;
    report_later();
    return Submitted::finished;
}

/// The answer need not wait for the inner channel: bytes that arrive in spite of the cancellation
/// stay in the engine, for the next read. A write that was encrypted is done; its ciphertext must
/// be sent as a whole, or never anything again.
void TlsChannel::cancel(Operation& operation) noexcept {
    if (&operation == read_) {
        settle(read_, -ECANCELED);
    } else if (&operation == handshake_) {
        settle(handshake_, -ECANCELED);
    } else if (&operation == write_) {
        settle(write_, encrypted_ > 0 ? static_cast<int>(encrypted_) : -ECANCELED);
    }
    step();
    if (!needs_input_ && is_in_use(inner_read_)) inner_->cancel(inner_read_);
    report_later();
}

// --- One step -----------------------------------------------------------------------------------

/// Each part wants input anew in each round: what it wanted before may have come.
void TlsChannel::step() noexcept {
    bool moved = true;
    while (moved) {
        needs_input_ = false;
        go_on_with_handshake();
        go_on_with_write();
        go_on_with_read();
        go_on_with_end();
        const bool sent = send();
        moved = receive() || sent;
    }
}

/// A peer that closes the connection has not failed by TLS's rules, so this is an error of the
/// system. After a failure the operation waits until the alert is sent, which tells the peer the
/// reason.
void TlsChannel::go_on_with_handshake() noexcept {
    if (handshake_ == nullptr) return;
    if (gave_up_) return settle(handshake_, -ECANCELED);
    switch (engine_->handshake(alarm_loop().time())) {
        case Progress::done:
            established_ = true;
            settle(handshake_, 0);
            return;
        case Progress::needs_input:
            if (receive_error_ != 0) {
                settle(handshake_, -receive_error_);
            } else if (input_ended_) {
                settle(handshake_, -ECONNRESET);
            } else {
                needs_input_ = true;
            }
            return;
        case Progress::ended: settle(handshake_, -ECONNRESET); return;
        case Progress::failed: break;
    }
    if (all_sent() || send_error_ != 0) settle(handshake_, -EPROTO);
}

/// Encrypts once, and then waits until everything is sent. A write that was cancelled may have left
/// ciphertext, which is sent first. So the memory for ciphertext is bounded by one write.
///
/// OpenSSL refuses to write while it waits for the rest of a message of the handshake protocol. The
/// program may not be reading, so the write asks for the input itself.
void TlsChannel::go_on_with_write() noexcept {
    if (write_ == nullptr) return;
    if (send_error_ != 0) return settle(write_, -send_error_);
    if (gave_up_) return settle(write_, -EPIPE);
    if (encrypted_ == 0 && all_sent()) {
        const std::size_t size = std::min(write_->size, largest_write_bytes);
        if (size == 0) return settle(write_, 0);
        switch (engine_->write({static_cast<const char*>(write_->buffer), size})) {
            case Progress::done: encrypted_ = size; break;
            case Progress::needs_input:
                if (input_ended_ || receive_error_ != 0) return settle(write_, -EPIPE);
                needs_input_ = true;
                return;
            case Progress::ended:
            case Progress::failed: return settle(write_, engine_->failed() ? -EPROTO : -EPIPE);
        }
    }
    if (encrypted_ > 0 && all_sent()) settle(write_, static_cast<int>(encrypted_));
}

/// Bytes that were decrypted come before an error or an end that was met behind them. An end of the
/// inner channel without close_notify is the end of the stream, too. It is only noted: many servers
/// end in this way, and the program can ask (`end`).
void TlsChannel::go_on_with_read() noexcept {
    if (read_ == nullptr) return;
    std::array<char, largest_record_bytes> plaintext;
    std::size_t count = 0;
    switch (engine_->read({plaintext.data(), std::min(read_->size, plaintext.size())}, count)) {
        case Progress::done:
            lowlevel::deliver(*read_, std::span(plaintext.data(), count));
            settle(read_, static_cast<int>(count));
            return;
        case Progress::ended:
            clean_end_ = read_ended_ = true;
            settle(read_, 0);
            return;
        case Progress::failed: settle(read_, -EPROTO); return;
        case Progress::needs_input: break;
    }
    if (receive_error_ != 0) {
        settle(read_, -receive_error_);
    } else if (input_ended_ || gave_up_) {
        read_ended_ = true;
        settle(read_, 0);
    } else {
        needs_input_ = true;
    }
}

/// Whether the inner channel has taken all ciphertext that there is.
bool TlsChannel::all_sent() const noexcept {
    return outgoing_.empty() && engine_->output().empty();
}

/// Sends ciphertext, in one operation at a time. What OpenSSL writes meanwhile gathers in the
/// engine, and becomes the next `outgoing_` as a whole. The number of rounds is bounded by the
/// ciphertext of one write. Returns whether something has happened within the call.
bool TlsChannel::send() noexcept {
    bool moved = false;
    while (!is_in_use(inner_write_) && !all_sent() && may_send()) {
        if (outgoing_.empty()) {
            outgoing_.swap(engine_->output());
            outgoing_sent_ = 0;
        }
        inner_write_.kind = OperationKind::write;
        inner_write_.buffer = outgoing_.data() + outgoing_sent_;
        inner_write_.size = outgoing_.size() - outgoing_sent_;
        if (inner_->submit(inner_write_) == Submitted::in_flight) {
            hold();
            break;
        }
        take_over(inner_write_);
        moved = true;
    }
    return moved;
}

/// Reads ciphertext if a part of the step wants it. While the operation waits, the connection gives
/// its buffers back: most connections wait most of the time. Returns whether some has come within
/// the call.
bool TlsChannel::receive() noexcept {
    if (!needs_input_ || gave_up_ || is_in_use(inner_read_) || is_in_use(rest_) ||
        outgoing_.size() + engine_->output().size() > most_unsent_bytes)
        return false;
    if (lowlevel::must_yield()) {
        rest_.state = Operation::State::in_flight;
        reports_.add(rest_, 0);
        hold();
        return false;
    }
    inner_read_.kind = OperationKind::read;
    inner_read_.size = largest_receive_bytes;
    if (inner_->submit(inner_read_) == Submitted::in_flight) {
        engine_->rest(outgoing_);
        hold();
        return false;
    }
    take_over(inner_read_);
    return true;
}

// --- What the inner channel answers -------------------------------------------------------------

void TlsChannel::take_over(InnerOperation& operation) noexcept {
    operation.state = Operation::State::idle;
    if (&operation == &inner_write_) {
        sent(operation.result);
    } else if (&operation == &inner_read_) {
        received(operation.result);
    } else if (&operation == &inner_close_) {
        inner_is_closed();
    }
}

/// After an error nothing more is sent: the peer would find a gap.
void TlsChannel::sent(int result) noexcept {
    if (result > 0) outgoing_sent_ += static_cast<std::size_t>(result);
    if (result < 0 && result != -ECANCELED) send_error_ = -result;
    if (send_error_ != 0 || gave_up_) {
        outgoing_.clear();
        engine_->output().clear();
    } else if (outgoing_sent_ == outgoing_.size()) {
        outgoing_.clear();
    }
}

/// The bytes are with the engine already, by `receive` of the operation. A read that was cancelled
/// has brought none.
void TlsChannel::received(int result) noexcept {
    if (result > 0 || result == -ECANCELED) return;
    if (result == 0 || inner_->means_end(-result)) {
        input_ended_ = true;
    } else {
        receive_error_ = -result;
    }
}

// --- The handshake ------------------------------------------------------------------------------

/// A handshake needs an answer of the peer, so it finishes at once only in tests and after a
/// failure.
bool HandshakeAwaiter::await_ready() {
    task("tls::TlsChannel::handshake()");
    return channel_.begin_handshake(operation_) == Submitted::finished && !lowlevel::must_yield();
}

void HandshakeAwaiter::await_resume() {
    const int error = -result();
    if (error != 0) channel_.throw_handshake_failure(error);
}

/// The operation is reported in any case, and its report wakes the task. So the answer is "too
/// late", as for every operation.
HandshakeAwaiter::Abort HandshakeAwaiter::abort(lowlevel::Waiter& waiter,
                                                std::string_view) noexcept {
    auto& self = static_cast<HandshakeAwaiter&>(waiter);
    if (self.wants_early_end()) self.channel_.cancel(self.operation_);
    return Abort::too_late;
}

/// A failure of TLS has words. Any other error is the inner channel's.
void TlsChannel::throw_handshake_failure(int error) const {
    const std::string during = "TLS handshake with " + engine_->peer_name();
    if (engine_->failed()) engine_->throw_failure(during);
    throw OsError(error, during);
}

}  // namespace asyncio::tls
