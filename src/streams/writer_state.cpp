// The sending side of a stream: a pump that moves bytes from the program to the channel, without a
// task. "The kernel" below stands for the place to which the channel brings the bytes.
//
// A task per writer would be simpler to write, and would cost a frame and two switches for each
// write. The state is its own callback instead: the report of one write submits the next.
//
// The way of a byte
//
//  1. If nothing is buffered, `write` gives it to the channel from where it lies
//     (`write_through`). Most writes fit into the kernel's buffer, so they end here: nothing is
//     copied, and of this state two lines of the cache are touched. What does not fit goes to
//     `outgoing_`, and the pump starts. If something is buffered already, it goes to `waiting_`.
//  2. `pump` submits operations until one is in flight, everything is sent, or the writer has had
//     its share of the thread.
//  3. The report of an operation (`reported`) counts what was sent and pumps again.
//  4. When `outgoing_` is sent, `waiting_` becomes `outgoing_` (`next_piece`): what many small
//     writes have gathered goes out by one call.
//
// Why two strings. The back-end reads from `outgoing_` while its operation is in flight, so that
// string must neither grow (its memory would move) nor be cleared. New bytes need another place.
//
// Back-pressure. `paused_` becomes true above the high mark and false at or below the low mark.
// `drain` waits while it is true. Between the two marks it stays as it was, so a task is not woken
// for every few bytes.
//
// The end. `close` and `write_eof` let the pump send what is buffered; `note_progress` then closes.
// An error, `abort`, and the loop's end drop what is buffered. Dropping has to wait for the
// operation in flight, so `abort` cancels it and its report does the rest. Bytes that the kernel
// has taken before the cancellation count as sent.
//
// Two counters decide how the waits end. `written_` counts all bytes that were ever given to
// `write`, the refused ones included, and `sent_` counts the bytes that the kernel has taken. A
// mark between the two is not sent yet; after the end it never will be.

#include "streams/writer_state.h"

#include <asyncio/exceptions.h>

#include "base/log.h"
#include "streams/spare_strings.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace asyncio::internal {
namespace {

/// The largest single write. A file takes everything at once while the loop waits for the disk; in
/// pieces, other tasks run in between.
constexpr std::size_t largest_piece_bytes = 1024 * 1024;

}  // namespace

WriterState::WriterState(EventLoop& loop, ChannelPtr channel, const StreamOptions& options)
    : StreamState(loop, std::move(channel), options) {
    again_.writer = this;
    again_.run = &go_on;
}

// --- What comes in ------------------------------------------------------------------------------

/// Counts the bytes and says whether to buffer them. After the end the bytes are refused without an
/// error, as in Python, and the next `drain` or `send` reports it. If `write` threw, the program
/// would have to handle that at every call. A write behind the program's own `write_eof` is a
/// mistake of the program, and throws, as in Python.
bool WriterState::accepts(std::size_t bytes) {
    if (wanted_ == Ending::writing && error_ == 0 && bytes > 0)
        throw RuntimeError("write to " + name() + " after write_eof()");
    written_ += bytes;
    if (closing_ && bytes > 0) refused_ = true;
    return !closing_ && bytes > 0;
}

/// Where new bytes go.
std::string& WriterState::room_for_more() noexcept {
    return buffered_bytes() == 0 && !sends_file_ ? outgoing_ : waiting_;
}

/// When an operation is in flight or the pump rests, something is buffered. So the bytes then go to
/// `waiting_`, and the string that the back-end reads does not change.
void WriterState::write(std::string_view data) {
    if (!accepts(data.size())) return;
    const std::size_t sent = write_through(data);
    if (sent == data.size() || error_ != 0) return;
    std::string& end = room_for_more();
    if (end.empty()) take_spare(end, data.size() - sent);
    try {
        end.append(data, sent);
    } catch (...) {
        if (sent > 0) return end_without_memory();
        written_ -= data.size();  // they will never be sent
        throw;
    }
    pump();
}

/// A whole string is moved and not copied, if its place is empty.
void WriterState::write_string(std::string&& data) {
    if (!accepts(data.size())) return;
    const std::size_t sent = write_through(data);
    if (sent == data.size()) return keep_spare(data);
    if (error_ != 0) return;
    std::string& end = room_for_more();
    if (end.empty()) {
        end = std::move(data);
        // Only into an empty `outgoing_`: otherwise nothing has gone through.
        if (sent > 0) outgoing_sent_ = sent;
    } else {
        try {
            end.append(data);
        } catch (...) {
            written_ -= data.size();
            throw;
        }
    }
    pump();
}

/// Sends what goes at once, and returns how many bytes that are. Nothing may be in front of them.
/// No task waits for these bytes yet, and the pause is over, so a success changes nothing else. An
/// attempt counts as a round of the pump; if it is one too many, the pump rests and finds the bytes
/// in `outgoing_` later.
std::size_t WriterState::write_through(std::string_view data) noexcept {
    if (!outgoing_.empty() || sends_file_) return 0;
    if (lowlevel::must_yield()) {
        if (!pump_stands()) rest();
        return 0;
    }
    const int result = channel().write_now(data.substr(0, largest_piece_bytes));
    if (result > 0) {
        sent_ += static_cast<std::size_t>(result);
        return static_cast<std::size_t>(result);
    }
    if (result != -EAGAIN) {
        fail(-result);
        note_progress();
    }
    return 0;
}

/// The first bytes of a message are sent, and there is no memory to keep the others. They were
/// accepted, so the peer must not take what comes next for them: the writing ends.
void WriterState::end_without_memory() noexcept {
    give_up(ENOMEM);
    note_progress();
}

// --- What goes out ------------------------------------------------------------------------------

/// Sends until the pump has to wait. It is called whenever the pump may be able to continue, and
/// does nothing while the pump has to wait. The number of rounds is limited by `must_yield`,
/// which counts operations that finish at once.
void WriterState::pump() noexcept {
    while (!pump_stands() && outgoing_sent_ < outgoing_.size()) {
        if (lowlevel::must_yield()) {
            rest();
            break;
        }
        prepare();
        if (channel().submit(operation_) == lowlevel::Channel::Submitted::in_flight) {
            in_flight_ = true;
            retain();
        } else {
            take_over(operation_.result);
        }
    }
    note_progress();
}

void WriterState::prepare() noexcept {
    operation_.kind = lowlevel::OperationKind::write;
    operation_.on_finished = &reported;
    operation_.buffer = outgoing_.data() + outgoing_sent_;
    operation_.size = std::min(outgoing_.size() - outgoing_sent_, largest_piece_bytes);
}

/// Handles the result of an operation. Bytes that the kernel took count as sent in every case, also
/// if the program has aborted meanwhile.
void WriterState::take_over(int result) noexcept {
    if (result > 0) count_sent(static_cast<std::size_t>(result));
    if (aborted_) return give_up(0);
    if (result < 0) return fail(-result);
    outgoing_sent_ += static_cast<std::size_t>(result);
    if (outgoing_sent_ == outgoing_.size()) next_piece();
}

void WriterState::count_sent(std::size_t bytes) noexcept {
    const std::size_t of_piece = std::min(bytes, left_of_piece_);
    left_of_piece_ -= of_piece;
    sent_of_piece_ += of_piece;
    sent_ += bytes - of_piece;
}

void WriterState::fail(int error) noexcept {
    channel().note_write_error(error);
    give_up(error);
}

/// Ends the writing: no more bytes can be sent. The first error stays, since the later ones are its
/// consequences. Called only while nothing is in flight, because the back-end reads from
/// `outgoing_`. After an error of a connection the program may still read: the other end may have
/// said why it reads no more.
void WriterState::give_up(int error) noexcept {
    if (error_ == 0) error_ = error;
    end(Ending::writing);
    keep_spare(outgoing_);
    keep_spare(waiting_);
    outgoing_sent_ = 0;
    left_of_piece_ = 0;
}

/// The memory goes to the next string that is received, by whatever connection: a writer with
/// nothing to send holds none.
void WriterState::next_piece() noexcept {
    keep_spare(outgoing_);
    if (!sends_file_) outgoing_.swap(waiting_);
    outgoing_sent_ = 0;
}

// --- A file -------------------------------------------------------------------------------------

void WriterState::require_no_file() const {
    if (sends_file_) throw RuntimeError("a file is being sent to " + name() + " already");
}

void WriterState::send_piece(std::string&& piece) noexcept {
    outgoing_ = std::move(piece);
    left_of_piece_ = outgoing_.size();
    sent_of_piece_ = 0;
    pump();
}

/// The rest of a piece, after a cancellation, is sent before what was written meanwhile.
void WriterState::end_file() noexcept {
    sends_file_ = false;
    if (outgoing_.empty()) next_piece();
    pump();
}

/// Puts the pump at the end of the ready queue: other tasks run before it continues. The queue's
/// entry holds a reference, because the handle may be destroyed meanwhile.
void WriterState::rest() noexcept {
    retain();
    loop().schedule(again_);
}

/// Called by the loop when the pump may continue. The writer may have ended meanwhile; `pump` then
/// finds no bytes to send.
void WriterState::go_on(Ready& node) noexcept {
    WriterState& self = *static_cast<Again&>(node).writer;
    self.pump();
    self.release();
}

void WriterState::reported(lowlevel::Operation& operation) noexcept {
    auto& self = static_cast<WriterState&>(*static_cast<OwnOperation&>(operation).stream);
    self.in_flight_ = false;
    self.take_over(operation.result);
    self.pump();
    self.release();
}

// --- The end ------------------------------------------------------------------------------------

/// A later wish may go further than an earlier one, and never back. A stream that was detached has
/// no channel, and wants everything already.
void WriterState::end(Ending how) noexcept {
    closing_ = true;
    if (wanted_ == Ending::everything) return;
    if (!channel().is_connection()) how = Ending::everything;
    wanted_ = std::max(wanted_, how);
}

void WriterState::write_eof() noexcept {
    end(Ending::writing);
    note_progress();
}

/// The pump is not stopped: it sends what is left, and the last `note_progress` closes.
void WriterState::close() noexcept {
    end(Ending::everything);
    note_progress();
}

/// Called when nothing is buffered. A close that is in flight calls this again when it is reported.
void WriterState::close_what_is_due() noexcept {
    if (begun_ >= wanted_ || close_in_flight()) return;
    begun_ = wanted_;
    const bool both = begun_ == Ending::everything && channel().is_connection();
    close_side(both ? lowlevel::Channel::Side::both : lowlevel::Channel::Side::writing);
}

/// If an operation is in flight, `take_over` does the rest when the channel has reported it.
void WriterState::abort() noexcept {
    end(Ending::everything);
    if (std::exchange(aborted_, true)) return;
    if (in_flight_) channel().cancel(operation_);
    if (!closed_) channel().abort();
    if (in_flight_) return;
    give_up(0);
    note_progress();
}

/// A dropped handle is an abort and not a close: the program can no longer learn whether the bytes
/// arrive, and a peer that does not read would keep the state alive for ever. In debug mode the
/// loss is logged.
void WriterState::drop() noexcept {
    if (wanted_ == Ending::everything) return;
    if (sends_rest_when_dropped_ || channel().sends_rest_when_dropped()) return close();
    if (buffered_bytes() > 0 && loop().get_debug()) {
        log(LogLevel::warning, "a StreamWriter was dropped and not closed; bytes are lost", [this] {
            return std::to_string(buffered_bytes()) + " bytes for " + name() +
                   " are lost: the StreamWriter was dropped and not closed";
        });
    }
    abort();
}

/// After the close of everything no further event comes, so every task that still waits is woken.
void WriterState::closed(int error) noexcept {
    if (error_ == 0) error_ = error;
    closed_ = begun_ == Ending::everything;
    if (!closed_) close_what_is_due();
    wake_those_who_may_go();
}

/// The writer counts as closed, so that a task that waits for this is woken.
ChannelPtr WriterState::detach() noexcept {
    wanted_ = begun_ = Ending::everything;
    closed_ = true;
    wake_those_who_may_go();
    return StreamState::detach();
}

// --- The tasks that wait ------------------------------------------------------------------------

/// New limits may end or begin a pause, so they count as progress.
void WriterState::set_limits(std::size_t high, std::size_t low) {
    if (low > high) throw std::invalid_argument("the low mark is above the high mark");
    high_ = high;
    low_ = low;
    note_progress();
}

/// Called after everything that changes the number of buffered bytes, or the end. It brings the
/// pause up to date, closes the side when a closing writer is empty, and wakes the tasks
/// whose event has come.
void WriterState::note_progress() noexcept {
    const std::size_t bytes = buffered_bytes();
    if (bytes > high_) paused_ = true;
    if (bytes <= low_) paused_ = false;
    const bool waits_for_file = sends_file_ && !aborted_ && error_ == 0;
    if (closing_ && bytes == 0 && !waits_for_file) close_what_is_due();
    wake_those_who_may_go();
}

/// Goes through the whole line: its awaiters wait for different events, and there are rarely more
/// than a few.
void WriterState::wake_those_who_may_go() noexcept {
    // A woken task runs in a later step, so the line does not change during this walk.
    line_.for_each([this](lowlevel::LineWaiter& waiter) {
        if (has_come(static_cast<WriterAwaiter&>(waiter))) waiter.wake();
    });
}

/// Whether the awaiter has nothing more to wait for. After an error a wait for bytes ends, but
/// `wait_closed` still waits for the close.
bool WriterState::has_come(const WriterAwaiter& awaiter) const noexcept {
    if (closed_) return true;
    switch (awaiter.event_) {
        case WriterEvent::drained: return !paused_ || error_ != 0;
        case WriterEvent::sent: return sent_ >= awaiter.mark_ || error_ != 0;
        case WriterEvent::piece: return outgoing_.empty() || error_ != 0;
        case WriterEvent::closed: break;
    }
    return false;
}

/// Throws what the task must know: the error of the stream, or that its bytes were not sent.
/// `drain` reports a stream that was closed without an error only if it did not have to wait, which
/// is Python's rule: a drain that waited and was woken by the end returns.
void WriterState::throw_if_lost(const WriterAwaiter& awaiter) const {
    const auto fail = [this](int error, const char* why) {
        throw OsError(error, "write to " + name() + why);
    };
    if (error_ != 0) fail(error_, "");
    const bool sent = awaiter.event_ == WriterEvent::sent;
    if (sent && sent_ < awaiter.mark_) fail(ECONNRESET, " (closed)");
    if (awaiter.event_ == WriterEvent::piece && (closed_ || aborted_))
        fail(ECONNRESET, " (closed)");
    const bool lost = closed_ || aborted_ || refused_;
    if (awaiter.event_ == WriterEvent::drained && !awaiter.waited_ && lost)
        fail(ECONNRESET, " (closed)");
}

}  // namespace asyncio::internal
