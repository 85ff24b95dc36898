// The end of a connection, and the reports of its operations.
//
//     close(writing)   close_notify is sent behind the last byte; reading goes on
//     close(both), or the second of the two:
//                      close_notify, then the peer's close_notify or its end, then the inner close
//     give up          nothing is sent or awaited any more; the inner channel is closed
//
// Two things make the channel give up: `abort`, and the limit of time. The peer then sees an end
// without close_notify, unless that has been sent before. After an abort that is right, since bytes
// may be missing. After the limit everything that the program wrote has been sent: a write is not
// finished before that.
//
// A channel that gives up makes the inner one give up, too. That one may be TLS as well.

#include <asyncio/tls/channel.h>

#include "engine/engine.h"

#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

namespace asyncio::tls {

using lowlevel::Operation;
using lowlevel::OperationKind;
using Progress = engine::Engine::Progress;
using Submitted = lowlevel::Channel::Submitted;

namespace {

/// How much of the peer's data is decrypted at a time, to be dropped.
constexpr std::size_t dropped_at_once_bytes = 4 * 1024;

}  // namespace

/// Three things may end: the writing side alone, both sides, or the patience.
///
/// The close of the reading side alone changes nothing for the peer. TLS has no word for it, and
/// bytes that come are left where they are.
void TlsChannel::go_on_with_end() noexcept {
    if (writing_closed_ && !said_goodbye_) say_goodbye();
    if (!writing_closed_ && close_reading_ != nullptr) settle(close_reading_, 0);
    if (!writing_closed_ && !gave_up_) return;
    if (!gave_up_ && waits_for_peer() && is_wait_limited()) return;
    if (gave_up_ || both_sides_closed()) return close_inner();
    stop_alarm();
    if (close_writing_ != nullptr) settle(close_writing_, -close_error_);
}

/// Sends close_notify behind everything else. A connection without a handshake has no keys to say
/// anything with.
void TlsChannel::say_goodbye() noexcept {
    said_goodbye_ = true;
    if (established_) engine_->close();
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

/// Sets the alarm for the end. If there is no memory for a timer, there is no wait.
bool TlsChannel::is_wait_limited() noexcept {
    if (is_alarm_set()) return true;
    try {
        ring_after(shutdown_timeout_);
        return true;
    } catch (const std::bad_alloc&) {
        give_up();
        return false;
    }
}

/// Drops data that still comes. The bytes go nowhere: both sides are closed.
bool TlsChannel::peer_has_ended() noexcept {
    if (!established_) return true;
    std::array<char, dropped_at_once_bytes> dropped;
    std::size_t count = 0;
    Progress progress = Progress::done;
    while (progress == Progress::done) progress = engine_->read(dropped, count);
    clean_end_ = clean_end_ || progress == Progress::ended;
    return progress != Progress::needs_input || input_ended_ || receive_error_ != 0;
}

/// From now on nothing waits for the peer. Ciphertext that is not with the inner channel is
/// dropped; what an operation in flight sends must stay in its place until the report.
void TlsChannel::give_up() noexcept {
    if (std::exchange(gave_up_, true)) return;
    stop_alarm();
    engine_->output().clear();
    if (!is_in_use(inner_write_)) outgoing_.clear();
}

/// The inner channel must not be closed while operations are in flight on it. Their reports lead
/// back here.
void TlsChannel::close_inner() noexcept {
    if (inner_close_begun_) return settle_closes();
    for (InnerOperation* operation : {&inner_read_, &inner_write_})
        if (is_in_use(*operation)) inner_->cancel(*operation);
    if (anything_in_flight()) return;
    inner_close_begun_ = gave_up_ = true;
    stop_alarm();
    inner_close_.kind = OperationKind::close;
    if (inner_->close(Side::both, inner_close_) == Submitted::in_flight) return hold();
    take_over(inner_close_);
}

/// An error of the inner channel's close may mean lost bytes, and is passed on.
void TlsChannel::inner_is_closed() noexcept {
    inner_closed_ = true;
    if (close_error_ == 0 && inner_close_.result < 0) close_error_ = -inner_close_.result;
    settle_closes();
}

/// Both streams of a connection may wait for its close.
void TlsChannel::settle_closes() noexcept {
    if (!inner_closed_) return;
    if (close_writing_ != nullptr) settle(close_writing_, -close_error_);
    if (close_reading_ != nullptr) settle(close_reading_, 0);
}

/// The caller may be the last owner. If an operation on the inner channel is in flight, the channel
/// holds itself until that is reported.
void TlsChannel::abort() noexcept {
    give_up();
    inner_->abort();
    step();
    report_later();
}

/// The time for the end is over. If not even close_notify could be sent, the program is told.
void TlsChannel::alarm_rings() noexcept {
    if (!all_sent()) close_error_ = ETIMEDOUT;
    give_up();
    inner_->abort();
    step();
    report_now();
}

// --- Reports ------------------------------------------------------------------------------------

/// The operation is the channel's until it is reported, so it can stand in a list.
void TlsChannel::settle(Operation*& wanted, int result) noexcept {
    Operation& operation = *std::exchange(wanted, nullptr);
    operation.result = result;
    settled_.push_back(operation);
}

/// For calls in which no report is allowed.
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

/// Called by the loop, so other operations may be reported at once. The last report may destroy the
/// channel.
void TlsChannel::inner_reported(Operation& operation) noexcept {
    auto& finished = static_cast<InnerOperation&>(operation);
    TlsChannel& self = *finished.channel;
    self.take_over(finished);
    self.step();
    self.report_now();
}

// --- Who holds the channel ----------------------------------------------------------------------

/// The rest counts, too: its report must find the channel.
bool TlsChannel::anything_in_flight() const noexcept {
    return is_in_use(inner_read_) || is_in_use(inner_write_) || is_in_use(inner_close_) ||
           is_in_use(rest_);
}

/// One reference for all operations in flight: to count them one by one would cost an atomic
/// instruction for each.
void TlsChannel::hold() noexcept {
    if (self_ == nullptr) self_ = weak_from_this().lock();
}

/// May destroy the channel.
void TlsChannel::let_go() noexcept {
    if (!anything_in_flight()) self_.reset();
}

}  // namespace asyncio::tls
