#pragma once
// The bytes that a reader has received and not given away.
//
// A string with a mark: the bytes before the mark are given away, the bytes behind it are there.
// Memory is allocated when bytes arrive and not before, and each byte is written to it once. When
// everything is asked for at once, the string itself is handed over and not copied, so 200 MB of
// output exist once. A reader that waits with an empty buffer holds no memory.
//
// The rejected alternatives: a ring buffer cannot hand over its memory as a string, and a list of
// chunks cannot be searched for a separator that lies across two of them.
//
// Thread-safety: none.

#include "streams/spare_strings.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::internal {

class ByteBuffer {
public:
    std::size_t size() const noexcept { return storage_.size() - begin_; }
    bool empty() const noexcept { return size() == 0; }
    std::string_view bytes() const noexcept { return std::string_view(storage_).substr(begin_); }

    /// Throws: `std::bad_alloc`; the buffer is then as it was.
    void append(std::string_view bytes) {
        const bool fits = storage_.capacity() - storage_.size() >= bytes.size();
        // The rest is moved to the front only if it is not larger than what was given away. So for
        // each byte that is moved, another byte has left the buffer, and a stream of any length
        // costs a constant number of moves per byte.
        if (!fits && begin_ >= size()) {
            storage_.erase(0, begin_);
            begin_ = 0;
        }
        if (storage_.empty() && !fits) take_spare(storage_, bytes.size());
        storage_.append(bytes);
    }

    /// Gives away the first `count` bytes, which must be there. The string itself is handed over if
    /// all of it is wanted and it is at least half full: handing over a small text in a large
    /// string would keep the large memory alive in the caller's hands.
    std::string take(std::size_t count) {
        const bool hands_over = count == size() && begin_ == 0 && count > storage_.capacity() / 2;
        if (hands_over) return std::exchange(storage_, std::string());
        std::string taken(bytes().substr(0, count));
        drop(count);
        return taken;
    }
    std::string take_all() { return take(size()); }
    void drop_all() noexcept { drop(size()); }

    /// Gives away the first `count` bytes, which the caller has copied. Keeps the memory: the next
    /// bytes are likely to come soon.
    void drop(std::size_t count) noexcept {
        begin_ += count;
        if (begin_ < storage_.size()) return;
        storage_.clear();
        begin_ = 0;
    }

    /// Called when the reader begins to wait, perhaps for hours: an empty buffer frees its memory.
    void forget_if_empty() noexcept {
        if (empty()) drop_memory();
    }

private:
    /// `clear` would keep the memory.
    void drop_memory() noexcept {
        std::string().swap(storage_);
        begin_ = 0;
    }

    /// The bytes that were received since the buffer was last empty.
    std::string storage_;
    /// How many bytes at the front are given away.
    std::size_t begin_ = 0;
};

}  // namespace asyncio::internal
