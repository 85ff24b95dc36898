#pragma once
// The bytes that a command has written, in blocks, in the order of their arrival.
//
// A command may write hundreds of megabytes, or it may write until its limit ends it (`yes`). A
// single string would copy its whole content each time it grows. A list of blocks never copies, and
// printing frees the memory block by block. Bytes beyond `most_in_memory_bytes` go to a temporary
// file. If no file can be made, or the disk is full, the bytes stay in memory, so none are lost.
//
// Invariant: the order of the bytes is `first_`, then the file, then `last_`. `last_` holds bytes
// only after the file has refused some. As long as `last_` holds bytes, later bytes go there as
// well; otherwise the file would get bytes that belong behind those in `last_`.

#include "terminal/overflow_file.h"

#include <cstddef>
#include <list>
#include <memory>
#include <string>

namespace tool {

class Blocks {
public:
    static constexpr std::size_t block_bytes = 64 * 1024;
    static constexpr std::size_t most_in_memory_bytes = 16 * block_bytes;

    Blocks() = default;
    Blocks(Blocks&&) noexcept = default;
    Blocks& operator=(Blocks&&) noexcept = default;

    /// Joins small pieces, so that a command that writes line by line does not make a block for
    /// every line.
    void append(std::string piece);

    bool empty() const noexcept { return size_bytes_ == 0; }
    void clear() noexcept;

    /// Removes the first block and returns it. There must be a block.
    /// Throws: asyncio::OsError if the temporary file cannot be read.
    std::string take_front();

    std::size_t size_bytes() const noexcept { return size_bytes_; }

private:
    /// A list, because it allocates nothing while it is empty, and most queues are empty. A deque
    /// allocates at once.
    using Queue = std::list<std::string>;

    static void append_to(Queue& queue, std::string piece);
    static std::string take_from(Queue& queue);

    Queue first_;
    std::unique_ptr<OverflowFile> file_;
    Queue last_;
    std::size_t size_bytes_ = 0;
};

}  // namespace tool
