#pragma once
// Memory of strings that were sent, for strings that are received.
//
// A server that answers what it has read gets a string from the reader and gives it to the writer.
// If each writer kept the memory of its last message for the next one, every connection would have
// some, and with many connections it would have left the processor's cache when the next message
// comes. If it went back to malloc, messages of a few kilobytes would cost a search each.
//
// So the last few strings that were sent are kept, and the next that are received or copied to be
// sent take them, the last one first. A stream of messages of one size then allocates nothing.
//
// The strings belong to the thread: a loop has no place for them that costs nothing when no stream
// is used, and two loops of one thread may share them. They are freed at the end of the thread.
//
// Thread-safety: any thread; each has its own.

#include <cstddef>
#include <string>

namespace asyncio::internal {

/// Takes the memory of a string that is not needed any more, or frees it. Leaves it empty.
void keep_spare(std::string& used) noexcept;

/// Gives `empty` memory for `size_bytes` bytes if there is some that is not much larger.
void take_spare(std::string& empty, std::size_t size_bytes) noexcept;

/// Frees the spare memory of this thread. For tests that count what is left.
void drop_spares() noexcept;

}  // namespace asyncio::internal
