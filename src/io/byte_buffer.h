#pragma once
// The bytes a reader has received and not given away.
//
// A string, of which the part behind a mark holds bytes: what lies before is given away. Memory
// is taken up when bytes come and not before, it is written once, and when everything is asked for
// at once it is handed over rather than copied, so 200 MB of output exist once. A reader that waits
// with nothing in its buffer holds none.
//
// Thread-safety: none.

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
        // Moving what is left to the front pays if it is less than was given away: then no byte is
        // moved twice without another one having left for good.
        if (!fits && begin_ >= size()) {
            storage_.erase(0, begin_);
            begin_ = 0;
        }
        storage_.append(bytes);
    }

    /// Gives away the first `count` bytes; there must be as many.
    std::string take(std::size_t count) {
        const bool hands_over = count == size() && begin_ == 0 && count > storage_.capacity() / 2;
        if (hands_over) return std::exchange(storage_, std::string());
        std::string taken(bytes().substr(0, count));
        drop(count);
        return taken;
    }
    std::string take_all() { return take(size()); }
    void drop_all() noexcept { drop(size()); }

    /// The reader waits for more, perhaps for hours.
    void forget_if_empty() noexcept {
        if (empty()) drop_memory();
    }

private:
    void drop(std::size_t count) noexcept {
        begin_ += count;
        if (begin_ < storage_.size()) return;
        storage_.clear();
        begin_ = 0;
    }

    void drop_memory() noexcept {
        std::string().swap(storage_);
        begin_ = 0;
    }

    std::string storage_;
    std::size_t begin_ = 0;
};

}  // namespace asyncio::internal
