// The common part of readers and writers: their registration with the loop, and their end.
//
// A stream can end in four ways: the program calls `close`, the handle is destroyed, a write fails,
// or the loop closes. All four lead to `close_descriptor`, when the operation in flight has been
// reported. From there on there is one way:
//
//     close_descriptor ──► close operation ──► close_reported ──► closed(error) ──► last reference
//
// A descriptor is given away (`fd_.release()`) before its close is submitted. So a second call
// finds none, and the destructor of the state closes nothing twice: a number that is closed twice
// may by then belong to another file.

#include "streams/stream_state.h"

#include <asyncio/exceptions.h>
#include <asyncio/internal/core/task_core.h>

#include <string>
#include <utility>

namespace asyncio::internal {

StreamState::StreamState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access)
    : loop_(loop), fd_(std::move(fd)), name_(options.name), access_(access) {
    // A caller that gives a descriptor directly, as `StreamReader(loop, fd)`, has not gone through
    // `prepare` in pipes.cpp.
    if (access == Access::non_blocking && (options.shared || is_standard(fd_.get())))
        access_ = Access::shared;
    if (name_.empty()) name_ = "descriptor " + std::to_string(fd_.get());
    if (loop.is_closed())
        throw RuntimeError("the event loop is closed: a StreamReader or StreamWriter needs one "
                           "that is open");
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

std::string StreamState::name() const { return name_; }

/// A task of another loop may run on another thread, and the members of the state are not
/// protected.
void StreamState::require_loop_of(TaskCore& task, const char* function) const {
    if (&task.loop() != &loop_)
        throw RuntimeError(std::string(function) + ": " + name_ + " belongs to another event loop");
}

void StreamState::close_descriptor() noexcept {
    if (!fd_) return;
    close_.fd = fd_.release();
    // Standard descriptors stay open (standard_streams.cpp).
    if (is_standard(close_.fd)) return closed(0);
    retain();
    if (loop_.submit(close_) == lowlevel::Backend::Submitted::finished) close_reported(close_);
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
