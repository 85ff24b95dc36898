#pragma once
// Bytes that are too many for memory, in a temporary file: written at its end, read from its
// beginning.
//
// The file has no name and is gone with the descriptor, however the program ends. It lies in
// $TMPDIR, or, where that is no place for it, in /tmp or /var/tmp. Writing and reading are plain
// system calls: what goes in is soon to come out again, and the kernel keeps it in its cache as
// long as there is room.

#include <asyncio.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace batch {

class OverflowFile {
public:
    /// False if there is no room, or no file can be made; then the file is as it was before.
    bool append(std::string_view bytes) noexcept;

    /// Takes up to `most` bytes from the beginning; there must be some.
    /// Throws: asyncio::OsError if they cannot be read.
    std::string take_front(std::size_t most);

    /// Why a file of this process has refused bytes for the first time: an errno; 0 if none has.
    static int refusal() noexcept;

    std::size_t size_bytes() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }

private:
    bool open() noexcept;
    bool try_to_append(std::string_view bytes) noexcept;

    asyncio::lowlevel::Fd file_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace batch
