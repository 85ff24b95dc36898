#include "io/writer_state.h"

#include <asyncio/exceptions.h>

#include "base/log.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <stdexcept>
#include <utility>

#include <poll.h>

namespace asyncio::internal {
namespace {

/// A file takes everything at once, and the loop waits for it; in pieces, others get their turn.
constexpr std::size_t largest_piece_bytes = 1024 * 1024;
/// Memory that an exceptional amount of data needed is given back.
constexpr std::size_t kept_capacity_bytes = 256 * 1024;

void forget(std::string& bytes) noexcept {
    if (bytes.capacity() > kept_capacity_bytes) {
        std::string().swap(bytes);
    } else {
        bytes.clear();
    }
}

}  // namespace

WriterState::WriterState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access)
    : StreamState(loop, std::move(fd), options, access) {
    operation_.writer = this;
    operation_.on_finished = &reported;
    again_.writer = this;
    again_.run = &go_on;
}

// --- What comes in ------------------------------------------------------------------------------

bool WriterState::accepts(std::size_t bytes) noexcept {
    written_ += bytes;
    if (closing_ && bytes > 0) refused_ = true;
    return !closing_ && bytes > 0;
}

/// While the pump stands something is buffered, so the string that is in flight does not change.
void WriterState::write(std::string_view data) {
    if (!accepts(data.size())) return;
    try {
        (buffered_bytes() == 0 ? outgoing_ : waiting_).append(data);
    } catch (...) {
        written_ -= data.size();  // or somebody would wait for their being sent
        throw;
    }
    pump();
}

void WriterState::write_string(std::string&& data) {
    if (!accepts(data.size())) return;
    std::string& end = buffered_bytes() == 0 ? outgoing_ : waiting_;
    if (end.empty()) {
        end = std::move(data);
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

// --- What goes out ------------------------------------------------------------------------------

void WriterState::pump() noexcept {
    while (!pump_stands() && outgoing_sent_ < outgoing_.size()) {
        if (lowlevel::turn_is_over()) {
            rest();
            break;
        }
        prepare();
        if (loop().submit(operation_) == lowlevel::Backend::Submitted::in_flight) {
            in_flight_ = true;
            retain();
        } else {
            take_over(operation_.result);
        }
    }
    note_progress();
}

void WriterState::prepare() noexcept {
    const bool ask_first = access() == Access::shared && !ready_;
    operation_.kind = ask_first ? lowlevel::OperationKind::poll : lowlevel::OperationKind::write;
    operation_.events = POLLOUT;
    operation_.fd = fd();
    operation_.blocking = blocking();
    operation_.buffer = outgoing_.data() + outgoing_sent_;
    // Readiness promises room for PIPE_BUF bytes; more might block a descriptor that may.
    const std::size_t most = access() == Access::shared ? PIPE_BUF : largest_piece_bytes;
    operation_.size = std::min(outgoing_.size() - outgoing_sent_, most);
}

void WriterState::take_over(int result) noexcept {
    const bool was_poll = operation_.kind == lowlevel::OperationKind::poll;
    if (result > 0 && !was_poll) sent_ += static_cast<std::uint64_t>(result);
    if (aborted_) return give_up(0);
    if (result < 0) return give_up(-result);
    ready_ = was_poll;
    if (was_poll) return;
    outgoing_sent_ += static_cast<std::size_t>(result);
    if (outgoing_sent_ == outgoing_.size()) next_piece();
}

/// Nothing more can be written. Called while nothing is in flight, for the back-end reads from
/// `outgoing_`.
void WriterState::give_up(int error) noexcept {
    if (error_ == 0) error_ = error;
    closing_ = true;
    forget(outgoing_);
    forget(waiting_);
    outgoing_sent_ = 0;
}

void WriterState::next_piece() noexcept {
    forget(outgoing_);
    outgoing_.swap(waiting_);
    outgoing_sent_ = 0;
}

void WriterState::rest() noexcept {
    retain();
    loop().schedule(again_);
}

void WriterState::go_on(Ready& node) noexcept {
    WriterState& self = *static_cast<Again&>(node).writer;
    self.pump();
    self.release();
}

void WriterState::reported(lowlevel::Operation& operation) noexcept {
    WriterState& self = *static_cast<WriteOperation&>(operation).writer;
    self.in_flight_ = false;
    self.take_over(operation.result);
    self.pump();
    self.release();
}

// --- The end ------------------------------------------------------------------------------------

void WriterState::close() noexcept {
    if (std::exchange(closing_, true)) return;
    note_progress();
}

void WriterState::abort() noexcept {
    closing_ = true;
    if (std::exchange(aborted_, true)) return;
    if (in_flight_) return loop().cancel(operation_);
    give_up(0);
    note_progress();
}

void WriterState::drop() noexcept {
    if (closing_) return;
    if (buffered_bytes() > 0 && loop().get_debug()) {
        log(LogLevel::warning, "a StreamWriter was dropped and not closed; bytes are lost", [this] {
            return std::to_string(buffered_bytes()) + " bytes for " + name() +
                   " are lost: the StreamWriter was dropped and not closed";
        });
    }
    abort();
}

void WriterState::closed(int error) noexcept {
    closed_ = true;
    if (error_ == 0) error_ = error;
    wake_those_who_may_go();
}

// --- Those who wait -----------------------------------------------------------------------------

void WriterState::set_limits(std::size_t high, std::size_t low) {
    if (low > high) throw std::invalid_argument("the low mark is above the high one");
    high_ = high;
    low_ = low;
    note_progress();
}

void WriterState::note_progress() noexcept {
    const std::size_t bytes = buffered_bytes();
    if (bytes > high_) paused_ = true;
    if (bytes <= low_) paused_ = false;
    if (closing_ && bytes == 0) close_descriptor();
    wake_those_who_may_go();
}

void WriterState::wake_those_who_may_go() noexcept {
    line_.for_each([this](WriterAwaiter::Place& place) {
        if (!has_come(*place.awaiter)) return;
        place.unlink();
        TaskCore& task = place.awaiter->task();
        loop().schedule(task);
    });
}

bool WriterState::has_come(const WriterAwaiter& awaiter) const noexcept {
    if (closed_) return true;
    switch (awaiter.event_) {
        case WriterEvent::drained: return !paused_ || error_ != 0;
        case WriterEvent::sent: return sent_ >= awaiter.mark_ || error_ != 0;
        case WriterEvent::closed: break;
    }
    return false;
}

void WriterState::throw_if_lost(const WriterAwaiter& awaiter) const {
    const auto fail = [this](int error, const char* why) {
        throw OsError(error, "write to " + name() + why);
    };
    if (error_ != 0) fail(error_, "");
    const bool sent = awaiter.event_ == WriterEvent::sent;
    if (sent && sent_ < awaiter.mark_) fail(ECONNRESET, " (closed)");
    const bool lost = closed_ || aborted_ || refused_;
    if (awaiter.event_ == WriterEvent::drained && !awaiter.waited_ && lost)
        fail(ECONNRESET, " (closed)");
}

}  // namespace asyncio::internal
