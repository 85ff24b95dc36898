#pragma once
// Bytes as they came, in pieces.
//
// A command may write hundreds of megabytes. One string would copy everything it holds each time it
// grows, and twice the size would be needed at that moment; a list of blocks never copies, and
// printing it gives memory back block by block.

#include <cstddef>
#include <deque>
#include <string>

namespace batch {

class Blocks {
public:
    static constexpr std::size_t block_bytes = 64 * 1024;

    /// Small pieces are put together, so that a command that writes line by line does not make a
    /// block of every line.
    void append(std::string piece) {
        if (piece.empty()) return;
        if (!blocks_.empty() && blocks_.back().size() + piece.size() <= block_bytes) {
            blocks_.back() += piece;
        } else {
            blocks_.push_back(std::move(piece));
        }
    }

    bool empty() const noexcept { return blocks_.empty(); }
    void clear() noexcept { blocks_.clear(); }

    /// The first block, which must exist; it is gone from here.
    std::string take_front() {
        std::string block = std::move(blocks_.front());
        blocks_.pop_front();
        return block;
    }

    std::size_t size_bytes() const noexcept {
        std::size_t sum = 0;
        for (const std::string& block : blocks_) sum += block.size();
        return sum;
    }

private:
    std::deque<std::string> blocks_;
};

}  // namespace batch
