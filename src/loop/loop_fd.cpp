// The close of a descriptor without a task that waits for it.
//
// The simulated back-end may report the close later, as the contract allows. So the operation lies
// in memory of its own, which its report frees. Without memory the back-end closes the descriptor
// without an operation. Without an open loop nothing is in flight, and a system call closes it.

#include <asyncio/lowlevel/loop_fd.h>

#include "loop/live_loop.h"

#include <new>

namespace asyncio::lowlevel {

bool LoopFd::has_loop() const noexcept { return internal::loop_exists(loop_number_); }

void LoopFd::close() noexcept {
    Fd fd = std::exchange(fd_, Fd());
    if (!has_loop() || loop_->is_closed()) return;
    auto* operation = new (std::nothrow) Operation;
    if (operation == nullptr) return loop_->close_now(fd.release());
    operation->kind = OperationKind::close;
    operation->fd = fd.release();
    operation->on_finished = [](Operation& finished) noexcept { delete &finished; };
    if (loop_->submit(*operation) == Backend::Submitted::finished) delete operation;
}

}  // namespace asyncio::lowlevel
