// The rules of Linux's pipes, as far as a program can observe them.
//
// The rules decide what tests find, so they are the kernel's and not the simplest ones. Two of them
// matter most. A small write is atomic, and POLLOUT is promised only when a small write would
// succeed: programs (this library's writer included) rely on both. And an end that is closed wakes
// the other end for good: a reader sees the end of the stream after the bytes that are left, and a
// writer sees EPIPE.

#include "backend/simulated/pipe.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstring>

#include <poll.h>

namespace asyncio::lowlevel::simulated {

int Pipe::readable(std::size_t size) const noexcept {
    // Linux looks at the size first: a read of nothing returns nothing, whatever the state of the
    // pipe.
    if (size == 0) return 0;
    if (filled() > 0) return static_cast<int>(std::min(size, filled()));
    return has_writer_ ? would_block : 0;
}

int Pipe::writable(std::size_t size) const noexcept {
    if (size == 0) return 0;
    if (!has_reader_) return -EPIPE;
    // POSIX: up to PIPE_BUF bytes are never mixed with the bytes of another writer, so they go in
    // together or not at all.
    if (size <= PIPE_BUF) return size <= room() ? static_cast<int>(size) : would_block;
    return room() > 0 ? static_cast<int>(std::min(size, room())) : would_block;
}

int Pipe::events(Side side) const noexcept {
    int events = 0;
    if (side == Side::reading) {
        if (filled() > 0) events |= POLLIN | POLLRDNORM;
        if (!has_writer_) events |= POLLHUP;
    } else {
        // Not as soon as there is any room: a small write could then still have to wait.
        if (room() >= PIPE_BUF) events |= POLLOUT | POLLWRNORM;
        if (!has_reader_) events |= POLLERR;
    }
    return events;
}

void Pipe::take(void* bytes, std::size_t count) noexcept {
    assert(count <= filled());
    if (count == 0) return;
    std::memcpy(bytes, bytes_.data() + taken_, count);
    taken_ += count;
    // The bytes that were read are not removed at every read. This would move the rest each time,
    // which is quadratic for a program that reads a full pipe byte by byte.
    if (taken_ < filled()) return;
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
}

void Pipe::put(const void* bytes, std::size_t count) {
    assert(count <= room());
    const auto* first = static_cast<const std::byte*>(bytes);
    bytes_.insert(bytes_.end(), first, first + count);
}

void Pipe::close(Side side) noexcept {
    (side == Side::reading ? has_reader_ : has_writer_) = false;
}

}  // namespace asyncio::lowlevel::simulated
