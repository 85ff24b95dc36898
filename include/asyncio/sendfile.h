#pragma once
// Which part of a file is sent, and how: the options of `Socket::sendfile` and
// `StreamWriter::sendfile`.
//
// Thread-safety: none.

#include <cstdint>
#include <optional>

namespace asyncio {

/// Which part of a file `sendfile` sends.
struct SendfileOptions {
    /// Where in the file to begin, in bytes.
    std::int64_t offset = 0;
    /// How many bytes; without a value, up to the end of the file.
    std::optional<std::uint64_t> count = std::nullopt;
    /// Whether to read and send where the kernel cannot do it by itself.
    bool fallback = true;
};

}  // namespace asyncio
