#pragma once
// Bytes that were written and not yet read: what is in a pipe or in a socket.
//
// Thread-safety: none.

#include <cassert>
#include <cstddef>
#include <vector>

namespace asyncio::lowlevel::simulated {

class ByteQueue {
public:
    std::size_t size() const noexcept { return bytes_.size() - taken_; }

    /// Throws: `std::bad_alloc`; nothing was added then.
    void put(const void* bytes, std::size_t count) {
        const auto* first = static_cast<const std::byte*>(bytes);
        bytes_.insert(bytes_.end(), first, first + count);
    }

    /// The first of the bytes, which lie side by side.
    const std::byte* data() const noexcept { return bytes_.data() + taken_; }

    /// Removes the first `count` bytes. They are not erased at every read: this would move the rest
    /// each time, which is quadratic for a program that reads a full queue byte by byte. So they
    /// are erased when they outnumber the rest, and each byte is moved twice at most.
    void drop(std::size_t count) noexcept {
        assert(count <= size());
        taken_ += count;
        if (taken_ < size()) return;
        bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(taken_));
        taken_ = 0;
    }

    /// Removes all but the first `count` bytes.
    void keep_first(std::size_t count) noexcept {
        if (count < size()) bytes_.resize(taken_ + count);
    }

private:
    std::vector<std::byte> bytes_;
    /// So many bytes at the beginning are removed already.
    std::size_t taken_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
