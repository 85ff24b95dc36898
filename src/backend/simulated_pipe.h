#pragma once
// A pipe that exists in memory only, with the habits of Linux's.
//
// The pipe answers what would happen (`readable`, `writable`, `events`) separately from letting it
// happen (`take`, `put`), because between the two the world asks its plan whether now is the time,
// and how much of it.
//
// What is Linux's own, and programs depend on: 64 KiB of room (pipe(7)); a write of up to PIPE_BUF
// bytes goes in whole or not at all; POLLOUT is promised only where such a write would succeed; a
// pipe without readers shows POLLERR, one without writers POLLHUP. What is left out: Linux counts
// room in pages, so a real pipe can be full with fewer than 64 KiB in it; and EPIPE comes without
// SIGPIPE, which a program with an event loop ignores anyway.
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

    /// What a read of `size` bytes would return now: a count, 0 at the end of the stream, or
    /// `would_block`.
    int readable(std::size_t size) const noexcept;

    /// What a write of `size` bytes would return now: a count, −EPIPE, or `would_block`.
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

    /// What was written and not yet forgotten; its first `taken_` bytes are already read. They are
    /// forgotten when the pipe is empty or they outnumber the others, so each byte moves at most
    /// twice.
    std::vector<std::byte> bytes_;
    std::size_t taken_ = 0;

    bool has_reader_ = true;
    bool has_writer_ = true;
};

}  // namespace asyncio::lowlevel::simulated
