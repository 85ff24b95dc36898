#include "io/stream_state.h"

#include <asyncio/exceptions.h>
#include <asyncio/internal/task_core.h>

#include <string>
#include <utility>

namespace asyncio::internal {

StreamState::StreamState(EventLoop& loop, StreamFd fd, const StreamOptions& options, Access access)
    : loop_(loop), fd_(std::move(fd)), name_(options.name), access_(access) {
    if (access == Access::non_blocking && (options.shared || is_standard(fd_.get())))
        access_ = Access::shared;
    if (name_.empty()) name_ = "descriptor " + std::to_string(fd_.get());
    if (loop.is_closed())
        throw RuntimeError("the event loop is closed: a StreamReader or StreamWriter needs one "
                           "that is open");
    close_.kind = lowlevel::OperationKind::close;
    close_.stream = this;
    close_.on_finished = &close_reported;
    run = &loop_closes;
    loop.at_close().push_back(*this);
}

StreamState::~StreamState() {
    if (linked()) unlink();
}

std::string StreamState::name() const { return name_; }

void StreamState::require_loop_of(TaskCore& task, const char* function) const {
    if (&task.loop() != &loop_)
        throw RuntimeError(std::string(function) + ": " + name_ + " belongs to another event loop");
}

void StreamState::close_descriptor() noexcept {
    if (!fd_) return;
    close_.fd = fd_.release();
    if (is_standard(close_.fd)) return closed(0);
    retain();
    if (loop_.submit(close_) == lowlevel::Backend::Submitted::finished) close_reported(close_);
}

void StreamState::close_reported(lowlevel::Operation& operation) noexcept {
    StreamState& self = *static_cast<CloseOperation&>(operation).stream;
    self.closed(operation.result < 0 ? -operation.result : 0);
    self.release();
}

void StreamState::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<StreamState&>(listener);
    self.retain();
    self.shut();
    self.release();
}

}  // namespace asyncio::internal
