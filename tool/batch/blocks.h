#pragma once
// Bytes as they came, in pieces.
//
// A command may write hundreds of megabytes, or go on until its limit ends it (`yes`). One string
// would copy everything it holds each time it grows; a list of blocks never copies, and printing it
// gives memory back block by block. What goes beyond `most_in_memory_bytes` waits in a temporary
// file. Where none can be made, or the disk is full, memory has to do: nothing is lost.
//
// Invariant: the bytes are those of `first_`, then of the file, then of `last_`. `last_` has some
// only if the file has refused them.

#include "batch/overflow_file.h"

#include <cstddef>
#include <list>
#include <memory>
#include <string>

namespace batch {

class Blocks {
public:
    static constexpr std::size_t block_bytes = 64 * 1024;
    static constexpr std::size_t most_in_memory_bytes = 16 * block_bytes;

    Blocks() = default;
    Blocks(Blocks&&) noexcept = default;
    Blocks& operator=(Blocks&&) noexcept = default;

    /// Small pieces are put together, so that a command that writes line by line does not make a
    /// block of every line.
    void append(std::string piece);

    bool empty() const noexcept { return size_bytes_ == 0; }
    void clear() noexcept;

    /// The first block, which must exist; it is gone from here.
    /// Throws: asyncio::OsError if the temporary file cannot be read.
    std::string take_front();

    std::size_t size_bytes() const noexcept { return size_bytes_; }

private:
    /// Takes no memory while it is empty, as most are; a deque would.
    using Queue = std::list<std::string>;

    static void append_to(Queue& queue, std::string piece);
    static std::string take_from(Queue& queue);

    Queue first_;
    std::unique_ptr<OverflowFile> file_;
    Queue last_;
    std::size_t size_bytes_ = 0;
};

}  // namespace batch
