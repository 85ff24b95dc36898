#pragma once
// A pipe that exists in memory only and behaves as a pipe of Linux does.
//
// It has two sides, `reading` and `writing`, each with one descriptor.
//
// Behaviour of Linux on which programs depend: 64 KiB of room (pipe(7)); a write of up to PIPE_BUF
// bytes goes in whole or not at all; POLLOUT is promised only where such a write would succeed; a
// pipe without readers shows POLLERR, and a pipe without writers POLLHUP. Two things are left out.
// Linux counts room in pages, so a real pipe can be full with fewer than 64 KiB in it. And EPIPE
// comes without SIGPIPE, which a program with an event loop ignores anyway.
//
// Thread-safety: none. A pipe belongs to one world.

#include "backend/simulated/byte_queue.h"
#include "backend/simulated/object.h"

#include <cstddef>

namespace asyncio::lowlevel::simulated {

class Pipe final : public Object {
public:
    enum Side : int { reading, writing };

    static constexpr std::size_t capacity_bytes = 64 * 1024;

    int foresee(const Operation& operation, int side) const noexcept override;
    int carry_out(Operation& operation, int side, int foreseen, Surroundings& around) override;
    void close(int side, Surroundings& around) noexcept override;

private:
    int events(int side) const noexcept override;
    int readable(std::size_t size) const noexcept;
    int writable(std::size_t size) const noexcept;
    int read(Operation& operation, std::size_t most, Surroundings& around);
    int write(const Operation& operation, std::size_t most, Surroundings& around);
    std::size_t room() const noexcept { return capacity_bytes - bytes_.size(); }

    ByteQueue bytes_;
    // The descriptors of a side are counted elsewhere (descriptors.h), so a flag is enough.
    bool has_reader_ = true;
    bool has_writer_ = true;
};

/// Carries out an operation of the kind `pipe`: makes a pipe and a descriptor for each side. All or
/// nothing. Throws: `std::bad_alloc`.
int make_pipe(const Operation& operation, Surroundings& around);

}  // namespace asyncio::lowlevel::simulated
