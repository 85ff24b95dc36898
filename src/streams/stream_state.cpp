// The common part of readers and writers: their registration with the loop, and their end.
//
// A stream can end in four ways: the program calls `close`, the handle is destroyed, a write fails,
// or the loop closes. All four lead to `close_side`, when the operation in flight has been
// reported. From there the steps are the same for all:
//
//     close_side ──► close operation ──► close_reported ──► closed(error) ──► last reference

#include "streams/stream_state.h"

#include <asyncio/exceptions.h>
#include <asyncio/internal/core/task_core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::internal {

StreamState::StreamState(EventLoop& loop, ChannelPtr channel, lowlevel::Channel::Side side,
                         const StreamOptions& options)
    : loop_(loop), channel_(std::move(channel)), name_(options.name), side_(side) {
    if (channel_ == nullptr)
        throw std::invalid_argument("a StreamReader or StreamWriter needs a channel");
    if (loop.is_closed())
        throw RuntimeError(
            "the event loop is closed: a StreamReader or StreamWriter needs an open event loop");
    close_.kind = lowlevel::OperationKind::close;
    close_.stream = this;
    close_.on_finished = &close_reported;
    // Registration comes last: a constructor that throws runs no destructor, which would
    // unregister.
    run = &loop_closes;
    loop.at_close().push_back(*this);
}

StreamState::~StreamState() {
    if (linked()) unlink();
}

std::string StreamState::name() const { return name_.empty() ? channel_->name() : name_; }

/// A task of another loop may run on another thread, and the members of the state are not
/// protected.
void StreamState::require_loop_of(TaskCore& task, const char* function) const {
    if (&task.loop() != &loop_)
        throw RuntimeError(std::string(function) + ": " + name() +
                           " belongs to another event loop");
}

void StreamState::close_side() noexcept {
    if (std::exchange(close_begun_, true)) return;
    retain();
    if (channel_->close(side_, close_) == lowlevel::Channel::Submitted::finished)
        close_reported(close_);
}

/// The release may destroy the state, so it comes last.
void StreamState::close_reported(lowlevel::Operation& operation) noexcept {
    StreamState& self = *static_cast<CloseOperation&>(operation).stream;
    self.closed(operation.result < 0 ? -operation.result : 0);
    self.release();
}

/// The reference keeps the state alive until `shut` returns, whatever references end meanwhile.
void StreamState::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<StreamState&>(listener);
    self.retain();
    self.shut();
    self.release();
}

}  // namespace asyncio::internal
