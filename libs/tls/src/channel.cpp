// How the operations of the streams become operations of the inner channel.
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
/// A string with more memory than this gives it back when it is empty.
constexpr std::size_t kept_capacity_bytes = 96 * 1024;

std::shared_ptr<engine::ContextState> state_of(const Context& context) {
    if (!context) throw std::invalid_argument("tls: a connection needs a context");
    return context.state();
}

bool is_in_flight(const Operation& operation) noexcept {
    return operation.state == Operation::State::in_flight;
}

Duration positive(Delay limit, const char* what) {
    if (limit <= Delay())
        throw std::invalid_argument(std::string("tls: ") + what + " must be positive");
    return limit;
}

}  // namespace

TlsChannel::TlsChannel(EventLoop& loop, std::shared_ptr<Channel> inner, const Context& context,
                       const TlsOptions& options, std::string_view unread)
    : Alarm(loop),
      AtLoopClose(loop),
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

TlsChannel::~TlsChannel() = default;

// --- What the program asks for ------------------------------------------------------------------

std::string TlsChannel::name() const {
    std::string name = "TLS to " + engine_->peer_name();
    if (engine_->failed()) name.append(" (").append(engine_->failure_words()).append(")");
    return name;
}

ConnectionInfo TlsChannel::info() const { return engine_->info(); }

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
    if (!reads) {
        write_abandoned_ = false;
        encrypted_ = 0;
    }
    return begin(operation);
}

Submitted TlsChannel::begin_handshake(Operation& operation) noexcept {
    handshake_ = &operation;
    return begin(operation);
}

/// A close of both sides has one operation. It stands as that of the writing side, which is the one
/// that may take time.
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

/// Lets a new operation go as far as it can.
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
        write_abandoned_ = encrypted_ > 0;
        settle(write_, encrypted_ > 0 ? static_cast<int>(encrypted_) : -ECANCELED);
    }
    step();
    if (!needs_input_ && is_in_flight(inner_read_)) inner_->cancel(inner_read_);
    report_later();
}

// --- One step -----------------------------------------------------------------------------------

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

/// After a failure the operation waits until the alert is sent, which tells the peer the reason.
void TlsChannel::go_on_with_handshake() noexcept {
    if (handshake_ == nullptr) return;
    if (gave_up_) return settle(handshake_, -ECANCELED);
    switch (engine_->handshake()) {
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
/// ciphertext, which is sent first.
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

bool TlsChannel::all_sent() const noexcept {
    return outgoing_.empty() && engine_->output().empty();
}

/// Sends ciphertext, in one operation at a time. Returns whether something has happened within the
/// call.
bool TlsChannel::send() noexcept {
    bool moved = false;
    while (!is_in_flight(inner_write_) && !all_sent() && may_send()) {
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

/// Reads ciphertext if a part of the step wants it. Returns whether some has come within the call.
bool TlsChannel::receive() noexcept {
    if (!needs_input_ || gave_up_ || is_in_flight(inner_read_) || is_in_flight(rest_) ||
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
        engine_->rest();
        hold();
        return false;
    }
    take_over(inner_read_);
    return true;
}

bool TlsChannel::anything_in_flight() const noexcept {
    return is_in_flight(inner_read_) || is_in_flight(inner_write_) || is_in_flight(inner_close_) ||
           is_in_flight(rest_);
}

void TlsChannel::hold() noexcept {
    if (self_ == nullptr) self_ = weak_from_this().lock();
}

/// May destroy the channel.
void TlsChannel::let_go() noexcept {
    if (!anything_in_flight()) self_.reset();
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
    if (outgoing_.empty() && outgoing_.capacity() > kept_capacity_bytes)
        std::string().swap(outgoing_);
}

/// The bytes are with the engine already. A read that was cancelled has brought none.
void TlsChannel::received(int result) noexcept {
    if (result > 0 || result == -ECANCELED) return;
    if (result == 0 || inner_->means_end(-result)) {
        input_ended_ = true;
    } else {
        receive_error_ = -result;
    }
}

/// Called by the loop, so other operations may be reported at once. The last report may destroy the
/// channel.
void TlsChannel::inner_reported(Operation& operation) noexcept {
    auto& finished = static_cast<InnerOperation&>(operation);
    TlsChannel& self = *finished.channel;
    self.take_over(finished);
    self.step();
    self.report_now();
}

// --- The end ------------------------------------------------------------------------------------

/// Three things may end: the writing side alone, both sides, or the patience.
void TlsChannel::go_on_with_end() noexcept {
    if (writing_closed_ && write_abandoned_) give_up();
    if (writing_closed_ && !said_goodbye_) say_goodbye();
    if (!writing_closed_ && close_reading_ != nullptr) settle(close_reading_, 0);
    if (!writing_closed_ && !gave_up_) return;
    if (!gave_up_ && waits_for_peer() && is_wait_limited()) return;
    if (gave_up_ || both_sides_closed()) return close_inner();
    stop_alarm();
    if (close_writing_ != nullptr) settle(close_writing_, -close_error_);
}

/// Sends close_notify behind everything else.
void TlsChannel::say_goodbye() noexcept {
    said_goodbye_ = true;
    if (established_ && !gave_up_) engine_->close();
    send();
}

/// When both sides are closed, the peer's bytes are read while close_notify is sent. The peer may
/// be doing the same, and two ends that only write would wait for each other.
bool TlsChannel::waits_for_peer() noexcept {
    const bool sends = !all_sent() && send_error_ == 0;
    if (!both_sides_closed()) return sends;
    const bool reads = !peer_has_ended();
    needs_input_ = needs_input_ || reads;
    return sends || reads;
}

/// Sets the alarm for the end. If the loop closes, or there is no memory for a timer, there is no
/// wait.
bool TlsChannel::is_wait_limited() noexcept {
    if (is_alarm_set()) return true;
    try {
        if (!loop_closing_) {
            ring_after(shutdown_timeout_);
            return true;
        }
    } catch (const std::bad_alloc&) {
        // As when the loop closes.
    }
    give_up();
    return false;
}

/// Drops data that still comes. The bytes go nowhere: both sides are closed.
bool TlsChannel::peer_has_ended() noexcept {
    if (!established_) return true;
    std::array<char, largest_record_bytes> dropped;
    std::size_t count = 0;
    Progress progress = Progress::done;
    while (progress == Progress::done) progress = engine_->read(dropped, count);
    clean_end_ = clean_end_ || progress == Progress::ended;
    return progress != Progress::needs_input || input_ended_ || receive_error_ != 0;
}

/// From now on nothing waits for the peer.
void TlsChannel::give_up() noexcept {
    if (std::exchange(gave_up_, true)) return;
    stop_alarm();
    engine_->output().clear();
    if (inner_write_.state != Operation::State::in_flight) outgoing_.clear();
}

/// The inner channel must not be closed while operations are in flight on it. Their reports lead
/// back here.
void TlsChannel::close_inner() noexcept {
    if (inner_close_begun_) return settle_closes();
    for (InnerOperation* operation : {&inner_read_, &inner_write_})
        if (is_in_flight(*operation)) inner_->cancel(*operation);
    if (anything_in_flight()) return;
    inner_close_begun_ = gave_up_ = true;
    stop_alarm();
    inner_close_.kind = OperationKind::close;
    if (inner_->close(Side::both, inner_close_) == Submitted::in_flight) return hold();
    take_over(inner_close_);
}

void TlsChannel::inner_is_closed() noexcept {
    inner_closed_ = true;
    if (close_error_ == 0 && inner_close_.result < 0) close_error_ = -inner_close_.result;
    settle_closes();
}

void TlsChannel::settle_closes() noexcept {
    if (!inner_closed_) return;
    if (close_writing_ != nullptr) settle(close_writing_, -close_error_);
    if (close_reading_ != nullptr) settle(close_reading_, 0);
}

void TlsChannel::abort() noexcept {
    give_up();
    step();
    report_later();
}

/// The time for the end is over. If not even close_notify could be sent, the program is told.
void TlsChannel::alarm_rings() noexcept {
    if (!all_sent()) close_error_ = ETIMEDOUT;
    give_up();
    step();
    report_now();
}

/// The streams close their sides after this, or have closed them before.
void TlsChannel::loop_closes() noexcept {
    loop_closing_ = true;
    if (!writing_closed_) return;
    give_up();
    step();
    report_later();
}

// --- Reports ------------------------------------------------------------------------------------

void TlsChannel::settle(Operation*& wanted, int result) noexcept {
    Operation& operation = *std::exchange(wanted, nullptr);
    operation.result = result;
    settled_.push_back(operation);
}

void TlsChannel::report_later() noexcept {
    while (!settled_.empty()) {
        Operation& operation = settled_.pop_front();
        reports_.add(operation, operation.result);
    }
    let_go();
}

/// The operations are moved out first: a report may begin a new operation, and the last one may
/// leave the channel without an owner.
void TlsChannel::report_now() noexcept {
    const std::shared_ptr<TlsChannel> alive = weak_from_this().lock();
    lowlevel::OperationList settled;
    settled.append(settled_);
    while (!settled.empty()) {
        Operation& operation = settled.pop_front();
        operation.state = Operation::State::finished;
        operation.on_finished(operation);
    }
    let_go();
}

// --- The handshake ------------------------------------------------------------------------------

bool HandshakeAwaiter::await_ready() {
    task("tls::TlsChannel::handshake()");
    return channel_.begin_handshake(operation_) == Submitted::finished && !lowlevel::must_yield();
}

void HandshakeAwaiter::await_resume() {
    const int error = -result();
    if (error != 0) channel_.throw_handshake_failure(error);
}

HandshakeAwaiter::Abort HandshakeAwaiter::abort(lowlevel::Waiter& waiter,
                                                std::string_view) noexcept {
    auto& self = static_cast<HandshakeAwaiter&>(waiter);
    if (self.wants_early_end()) self.channel_.cancel(self.operation_);
    return Abort::too_late;
}

void TlsChannel::throw_handshake_failure(int error) const {
    const std::string during = "TLS handshake with " + engine_->peer_name();
    if (engine_->failed()) engine_->throw_failure(during);
    throw OsError(error, during);
}

}  // namespace asyncio::tls
