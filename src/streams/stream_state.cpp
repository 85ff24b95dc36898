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

StreamState::StreamState(EventLoop& loop, ChannelPtr channel, const StreamOptions& options)
    : loop_(loop), channel_(std::move(channel)) {
    if (channel_ == nullptr)
        throw std::invalid_argument("a StreamReader or StreamWriter needs a channel");
    if (loop.is_closed())
        throw RuntimeError(
            "the event loop is closed: a StreamReader or StreamWriter needs an open event loop");
    if (!options.name.empty()) name_ = std::make_unique<const std::string>(options.name);
    operation_.stream = this;
    // Registration comes last: a constructor that throws runs no destructor, which would
    // unregister.
    run = &loop_closes;
    loop.at_close().push_back(*this);
}

StreamState::~StreamState() {
    if (linked()) unlink();
}

std::string StreamState::name() const {
    if (name_ != nullptr) return *name_;
    return channel_ == nullptr ? "a stream that was detached" : channel_->name();
}

/// A task of another loop may run on another thread, and the members of the state are not
/// protected.
void StreamState::require_loop_of(TaskCore& task, const char* function) const {
    if (&task.loop() != &loop_)
        throw RuntimeError(std::string(function) + ": " + name() +
                           " belongs to another event loop");
}

void StreamState::close_side(lowlevel::Channel::Side side) noexcept {
    retain();
    close_in_flight_ = true;
    operation_.kind = lowlevel::OperationKind::close;
    operation_.on_finished = &close_reported;
    if (channel_->close(side, operation_) == lowlevel::Channel::Submitted::finished)
        close_reported(operation_);
}

/// The release may destroy the state, so it comes last.
void StreamState::close_reported(lowlevel::Operation& operation) noexcept {
    StreamState& self = *static_cast<OwnOperation&>(operation).stream;
    self.close_in_flight_ = false;
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
