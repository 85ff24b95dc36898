// The rules of Linux's pipes, as far as a program can observe them.
//
// The rules decide what tests find, so they are the kernel's and not the simplest ones. Two of them
// matter most. The first: a small write is atomic, and POLLOUT is promised only when a small write
// would succeed. Programs (this library's writer included) rely on both. The second: when one end
// is closed, the other end stays ready from then on. A reader sees the end of the stream after the
// bytes that are left, and a writer sees EPIPE.

#include "backend/simulated/pipe.h"

#include "backend/simulated/descriptors.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <span>

#include <poll.h>

namespace asyncio::lowlevel::simulated {

/// The result that a read of `size` bytes would have now.
int Pipe::readable(std::size_t size) const noexcept {
    // Linux looks at the size first: a read of zero bytes returns 0, whatever the state of the
    // pipe.
    if (size == 0) return 0;
    if (bytes_.size() > 0) return static_cast<int>(std::min(size, bytes_.size()));
    return has_writer_ ? would_block : 0;
}

/// The result that a write of `size` bytes would have now.
int Pipe::writable(std::size_t size) const noexcept {
    if (size == 0) return 0;
    if (!has_reader_) return -EPIPE;
    // POSIX: up to PIPE_BUF bytes are never mixed with the bytes of another writer, so they go in
    // together or not at all.
    if (size <= PIPE_BUF) return size <= room() ? static_cast<int>(size) : would_block;
    return room() > 0 ? static_cast<int>(std::min(size, room())) : would_block;
}

int Pipe::events(int side) const noexcept {
    int events = 0;
    if (side == reading) {
        if (bytes_.size() > 0) events |= POLLIN | POLLRDNORM;
        if (!has_writer_) events |= POLLHUP;
    } else {
        // Room for one byte is not enough: a small write could then still have to wait.
        if (room() >= PIPE_BUF) events |= POLLOUT | POLLWRNORM;
        if (!has_reader_) events |= POLLERR;
    }
    return events;
}

int Pipe::foresee(const Operation& operation, int side) const noexcept {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::read) return side == reading ? readable(operation.size) : -EBADF;
    if (kind == OperationKind::write) return side == writing ? writable(operation.size) : -EBADF;
    if (kind == OperationKind::poll) return foresee_poll(operation, side);
    return error_without_support(kind, false);
}

/// The kind tells the side: `foresee` has refused all others. A poll changes nothing.
int Pipe::carry_out(Operation& operation, int, int foreseen, Surroundings& around) {
    if (foreseen == 0 || operation.kind == OperationKind::poll) return foreseen;
    const auto most = static_cast<std::size_t>(foreseen);
    const bool reads = operation.kind == OperationKind::read;
    return reads ? read(operation, most, around) : write(operation, most, around);
}

/// If there is no memory for a read without a buffer of its own, the bytes stay in the pipe.
int Pipe::read(Operation& operation, std::size_t most, Surroundings& around) {
    const std::size_t count = around.plan.shortened(most);
    if (operation.receive == nullptr) {
        std::memcpy(operation.buffer, bytes_.data(), count);
    } else {
        static_assert(capacity_bytes <= Scratch::size_bytes,
                      "the scratch memory must hold all that a pipe can hold");
        const std::span<char> room = around.scratch.take(count);
        if (room.data() == nullptr) return -ENOMEM;
        std::memcpy(room.data(), bytes_.data(), count);
        operation.receive(operation, room);
    }
    bytes_.drop(count);
    around.changes.add(*this);
    return static_cast<int>(count);
}

/// POSIX promises that a write of up to PIPE_BUF bytes goes in whole, so the plan may not shorten
/// it.
int Pipe::write(const Operation& operation, std::size_t most, Surroundings& around) {
    const bool is_atomic = operation.size <= PIPE_BUF;
    const std::size_t count = is_atomic ? most : around.plan.shortened(most);
    bytes_.put(operation.buffer, count);
    around.changes.add(*this);
    return static_cast<int>(count);
}

/// An event for the other end: a reader sees the end of the stream, a writer EPIPE. So the
/// operations that wait on the pipe are tried again.
void Pipe::close(int side, Surroundings& around) noexcept {
    (side == reading ? has_reader_ : has_writer_) = false;
    around.changes.add(*this);
}

/// Without memory for the second descriptor, the first one is closed again.
int make_pipe(const Operation& operation, Surroundings& around) {
    auto pipe = std::make_shared<Pipe>();
    auto* ends = static_cast<int*>(operation.buffer);
    const int reading = around.descriptors.open(pipe, Pipe::reading);
    try {
        ends[1] = around.descriptors.open(pipe, Pipe::writing);
    } catch (...) {
        around.descriptors.close(reading);
        throw;
    }
    ends[0] = reading;
    return 0;
}

}  // namespace asyncio::lowlevel::simulated
