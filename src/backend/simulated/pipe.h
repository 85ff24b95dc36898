#pragma once
// A pipe that exists in memory only and behaves as a pipe of Linux does.
//
// Asking what would happen (`readable`, `writable`, `events`) is separate from letting it happen
// (`take`, `put`): between the two the world asks its plan whether now is the time, and how many
// bytes.
//
// Behaviour of Linux on which programs depend: 64 KiB of room (pipe(7)); a write of up to PIPE_BUF
// bytes goes in whole or not at all; POLLOUT is promised only where such a write would succeed; a
// pipe without readers shows POLLERR, and a pipe without writers POLLHUP. Two things are left out.
// Linux counts room in pages, so a real pipe can be full with fewer than 64 KiB in it. And EPIPE
// comes without SIGPIPE, which a program with an event loop ignores anyway.
//
// Thread-safety: none. A pipe belongs to one world.

#include "backend/attempt.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Pipe {
public:
    enum class Side : std::uint8_t { reading, writing };

    static constexpr std::size_t capacity_bytes = 64 * 1024;

    /// The result that a read of `size` bytes would have now: a count, 0 at the end of the stream,
    /// or `would_block`.
    int readable(std::size_t size) const noexcept;

    /// The result that a write of `size` bytes would have now: a count, −EPIPE, or `would_block`.
    int writable(std::size_t size) const noexcept;

    /// The poll events that hold at this end, asked for or not.
    int events(Side side) const noexcept;

    /// Moves `count` bytes out. No more than `readable` promised.
    void take(void* bytes, std::size_t count) noexcept;

    /// Moves `count` bytes in. No more than `writable` promised.
    void put(const void* bytes, std::size_t count);

    void close(Side side) noexcept;

private:
    std::size_t filled() const noexcept { return bytes_.size() - taken_; }
    std::size_t room() const noexcept { return capacity_bytes - filled(); }

    /// The bytes that were written and not yet removed. The first `taken_` bytes are already read.
    /// They are removed when the pipe is empty or when they outnumber the others, so each byte is
    /// moved twice at most.
    std::vector<std::byte> bytes_;
    std::size_t taken_ = 0;

    // Each side has one end and no duplicates, so a flag is enough where the kernel counts.
    bool has_reader_ = true;
    bool has_writer_ = true;
};

}  // namespace asyncio::lowlevel::simulated
