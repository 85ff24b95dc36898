#pragma once
// The bytes a reader has received and not given away.
//
// One string, of which the part between two marks holds bytes: what lies before is given away, what
// lies behind is room for the next read. The string keeps its size while the marks move, so its
// memory is cleared once and not for every read; and when everything is asked for at once, it is
// handed over rather than copied, so 200 MB of output exist once.
//
// While a read is in flight the back-end writes behind the second mark. Bytes may be taken all the
// same, but neither that mark nor the memory moves until the read has been reported.
//
// Thread-safety: none.

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::internal {

class ByteBuffer {
public:
    std::size_t size() const noexcept { return end_ - begin_; }
    bool empty() const noexcept { return begin_ == end_; }
    std::string_view bytes() const noexcept { return {storage_.data() + begin_, size()}; }

    /// A read of at least `room` bytes is about to be submitted. Returns where they go; all of that
    /// may be used. The memory stays where it is until `end_receive`.
    std::span<char> begin_receive(std::size_t room) {
        assert(!receiving_);
        make_room(room);
        receiving_ = true;
        return {storage_.data() + end_, storage_.size() - end_};
    }
    /// The read was reported: `count` bytes have come.
    void end_receive(std::size_t count) noexcept {
        receiving_ = false;
        end_ += count;
    }

    /// Gives away the first `count` bytes; there must be as many.
    std::string take(std::size_t count) {
        const bool hands_over = count == end_ && begin_ == 0 && !receiving_ &&
                                count >= worth_handing_over && count > storage_.size() / 2;
        if (hands_over) {
            storage_.resize(count);
            end_ = 0;
            return std::exchange(storage_, std::string());
        }
        std::string taken(bytes().substr(0, count));
        drop(count);
        return taken;
    }
    std::string take_all() { return take(size()); }
    void drop_all() noexcept { drop(size()); }

private:
    /// Below, copying is cheaper than asking for new memory for the next read.
    static constexpr std::size_t worth_handing_over = 32 * 1024;

    void drop(std::size_t count) noexcept {
        begin_ += count;
        if (begin_ == end_ && !receiving_) begin_ = end_ = 0;
    }

    void make_room(std::size_t room) {
        if (storage_.size() - end_ >= room) return;
        // Moving the bytes to the front pays if there are fewer of them than were given away: then
        // no byte is moved twice without another one having left for good.
        if (begin_ >= size() && storage_.size() - size() >= room) {
            std::memmove(storage_.data(), storage_.data() + begin_, size());
        } else {
            storage_.erase(0, begin_);
            storage_.resize(std::max(size() + room, 2 * storage_.size()));
        }
        end_ -= begin_;
        begin_ = 0;
    }

    std::string storage_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool receiving_ = false;
};

}  // namespace asyncio::internal
