#pragma once
// A temporary file for bytes that are too many for memory. It is written at its end and read from
// its beginning.
//
// The file has no name, so the kernel removes it with the descriptor, however the program ends. It
// lies in $TMPDIR, or, if no file can be made there, in /tmp or /var/tmp. Writing and reading are
// plain system calls: the bytes are soon read again, and the kernel keeps them in its cache as long
// as there is room.

#include <asyncio.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace tool {

class OverflowFile {
public:
    /// Appends all bytes, or none. False if there is no room, or if no file can be made.
    bool append(std::string_view bytes) noexcept;

    /// Takes up to `most` bytes from the beginning. The file must not be empty.
    /// Throws: asyncio::OsError if they cannot be read.
    std::string take_front(std::size_t most);

    /// The errno of the first refused append in this process; 0 if every append succeeded.
    static int refusal() noexcept;

    std::size_t size_bytes() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }

private:
    bool open() noexcept;
    bool try_to_append(std::string_view bytes) noexcept;

    asyncio::lowlevel::Fd file_;
    /// The bytes from here to `end_` were not taken yet. The space before it is never used again;
    /// the file is gone when its command has been printed.
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace tool
