// Late reports of a channel. A channel may learn inside a call that an operation has finished, but
// the contract forbids it to report there. It notes the result here, and the loop reports it.

#include <asyncio/lowlevel/channel.h>

#include <cassert>

namespace asyncio::lowlevel {

ChannelReports::ChannelReports(EventLoop& loop) noexcept : loop_(loop) {
    Ready::run = [](Ready& node) noexcept { static_cast<ChannelReports&>(node).deliver(); };
    AtClose::run = [](AtClose& node) noexcept { static_cast<ChannelReports&>(node).deliver(); };
}

ChannelReports::~ChannelReports() {
    assert(finished_.empty() && "a channel must live until its operations are reported");
}

/// The object enters two lists of the loop, and the list that the loop reaches first delivers the
/// reports. The ready queue alone is not enough: a loop that closes runs no callbacks before it has
/// collected all operations.
void ChannelReports::add(Operation& operation, int result) noexcept {
    operation.result = result;
    finished_.push_back(operation);
    if (Ready::linked()) return;
    loop_.schedule(*this);
    loop_.at_close().push_back(*this);
}

/// The list is moved into a local variable first. A report may start a new operation that finishes
/// at once and is added to the member. The last report may destroy the channel, and this object
/// with it.
void ChannelReports::deliver() noexcept {
    if (Ready::linked()) Ready::unlink();
    if (AtClose::linked()) AtClose::unlink();
    OperationList finished;
    finished.append(finished_);
    while (!finished.empty()) {
        Operation& operation = finished.pop_front();
        operation.state = Operation::State::finished;
        operation.on_finished(operation);
    }
}

}  // namespace asyncio::lowlevel
