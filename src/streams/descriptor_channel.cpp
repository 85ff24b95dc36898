// Why a shared descriptor may still block. The answer to "is it ready?" can be out of date when the
// read follows, because another process was faster. The read then waits with a worker of the kernel
// under io_uring, and in a thread of the back-end otherwise. A cancellation ends the wait in the
// kernel and does not end the thread's. A better way does not exist for a descriptor whose mode
// must stay.
//
// A cancellation during the wait for readiness ends the stream's operation as −ECANCELED, whatever
// the wait answers: nothing was read or written yet.

#include "streams/descriptor_channel.h"

#include "streams/loop_descriptors.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

#include <poll.h>
#include <sys/stat.h>

namespace asyncio::internal {

using lowlevel::Operation;
using Submitted = lowlevel::Channel::Submitted;

DescriptorChannel::DescriptorChannel(EventLoop& loop, StreamFd fd,
                                     lowlevel::Blocking blocking) noexcept
    : loop_(loop), fd_(std::move(fd)), number_(fd_.get()), blocking_(blocking) {
    claim_descriptor(loop_, number_);
}

/// The descriptor is still here only if the stream could not be made. Its loop exists then.
DescriptorChannel::~DescriptorChannel() {
    if (fd_) disclaim_descriptor(loop_, number_);
}

std::string DescriptorChannel::name() const { return "descriptor " + std::to_string(number_); }

Submitted DescriptorChannel::submit(Operation& operation) noexcept {
    operation.fd = number_;
    operation.blocking = blocking_;
    return loop_.submit(operation);
}

/// Closes by an operation and not by close(2), because the simulated back-end would not see the
/// close otherwise. The owner gives up the descriptor first, so nothing closes it twice: at the
/// second close the number may belong to another file. Standard descriptors stay open
/// (standard_streams.cpp).
Submitted DescriptorChannel::close(Side, Operation& operation) noexcept {
    disclaim_descriptor(loop_, number_);
    operation.fd = fd_.release();
    if (!is_standard(operation.fd)) return loop_.submit(operation);
    operation.result = 0;
    operation.state = Operation::State::finished;
    return Submitted::finished;
}

/// A terminal whose other side is gone reports EIO where a pipe reports 0. A terminal is a
/// character device, so this is tested. For other files EIO is a real error of the device.
bool DescriptorChannel::means_end(int error) const noexcept {
    struct stat about{};
    return error == EIO && ::fstat(number_, &about) == 0 && S_ISCHR(about.st_mode);
}

SharedDescriptorChannel::SharedDescriptorChannel(EventLoop& loop, StreamFd fd, Access) noexcept
    : DescriptorChannel(loop, std::move(fd), lowlevel::Blocking::unknown) {
    for (Readiness* readiness : {&readable_, &writable_}) {
        readiness->kind = lowlevel::OperationKind::poll;
        readiness->channel = this;
        readiness->on_finished = &answered;
    }
    readable_.events = POLLIN;
    writable_.events = POLLOUT;
}

Submitted SharedDescriptorChannel::submit(Operation& operation) noexcept {
    Readiness& readiness = before(operation);
    readiness.fd = number();
    readiness.wanted = &operation;
    readiness.cancelled = false;
    if (loop().submit(readiness) == Submitted::finished) return transfer(readiness);
    operation.state = Operation::State::in_flight;
    return Submitted::in_flight;
}

/// Readiness promises room for PIPE_BUF bytes. A larger write might block the thread if the
/// descriptor is in blocking mode.
Submitted SharedDescriptorChannel::transfer(Readiness& readiness) noexcept {
    Operation& wanted = *readiness.wanted;
    if (readiness.result >= 0 && !readiness.cancelled) {
        wanted.state = Operation::State::idle;
        if (wanted.kind == lowlevel::OperationKind::write)
            wanted.size = std::min<std::size_t>(wanted.size, PIPE_BUF);
        return DescriptorChannel::submit(wanted);
    }
    wanted.result = readiness.result >= 0 ? -ECANCELED : readiness.result;
    wanted.state = Operation::State::finished;
    return Submitted::finished;
}

/// The report may destroy the channel, so it comes last.
void SharedDescriptorChannel::answered(Operation& operation) noexcept {
    auto& readiness = static_cast<Readiness&>(operation);
    Operation& wanted = *readiness.wanted;
    if (readiness.channel->transfer(readiness) == Submitted::finished) wanted.on_finished(wanted);
}

void SharedDescriptorChannel::cancel(Operation& operation) noexcept {
    Readiness& readiness = before(operation);
    if (!readiness.is_pending()) return loop().cancel(operation);
    readiness.cancelled = true;
    loop().cancel(readiness);
}

}  // namespace asyncio::internal
