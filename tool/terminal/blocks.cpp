// Where the bytes of a command are kept: memory first, then a file, then memory again. blocks.h has
// the invariant.

#include "terminal/blocks.h"

#include <utility>

namespace tool {

void Blocks::append(std::string piece) {
    if (piece.empty()) return;
    size_bytes_ += piece.size();
    if (file_ == nullptr) {
        if (size_bytes_ <= most_in_memory_bytes) return append_to(first_, std::move(piece));
        // From here on `first_` only shrinks, even when printing has emptied it. A file that was
        // begun keeps the order of the bytes without further rules.
        file_ = std::make_unique<OverflowFile>();
    }
    if (!last_.empty() || !file_->append(piece)) append_to(last_, std::move(piece));
}

void Blocks::clear() noexcept {
    first_.clear();
    file_.reset();
    last_.clear();
    size_bytes_ = 0;
}

std::string Blocks::take_front() {
    std::string block = !first_.empty()                       ? take_from(first_)
                        : file_ != nullptr && !file_->empty() ? file_->take_front(block_bytes)
                                                              : take_from(last_);
    size_bytes_ -= block.size();
    return block;
}

void Blocks::append_to(Queue& queue, std::string piece) {
    if (!queue.empty() && queue.back().size() + piece.size() <= block_bytes) {
        queue.back() += piece;
    } else {
        queue.push_back(std::move(piece));
    }
}

std::string Blocks::take_from(Queue& queue) {
    std::string block = std::move(queue.front());
    queue.pop_front();
    return block;
}

}  // namespace tool
