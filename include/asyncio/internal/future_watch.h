#pragma once
// Being told, of many futures, which one has ended.
//
// A future keeps a list of nodes that it makes ready when it ends (`FutureBase::notify`). Whoever
// waits for many of them therefore needs a node for each, the way from the node back to the
// waiting object, and, at the end, to take all nodes out of the lists again. That is what a
// `FutureWatch` does, as a base class of the waiting object. The nodes are one array: one
// allocation for all of them, and the index of a node is the number of its future.
//
// The owner is told in an iteration of the loop of its own, one after the future has ended, as
// CPython tells a done-callback. Of futures that end together it is told in the order in which they
// ended.
//
// Lifetime: a watch does not keep its futures alive. A future that goes takes its list with it, so
// the owner holds a handle to each for as long as it watches.
// Thread-safety: loop thread only.

#include <asyncio/internal/future_base.h>

#include <cstddef>
#include <memory>

namespace asyncio::internal {

/// `Owner` derives from `FutureWatch<Owner>`, has
/// `void future_ended(std::size_t index, FutureBase& future) noexcept`, and makes
/// `FutureWatch<Owner>` its friend.
template <class Owner>
class FutureWatch {
public:
    FutureWatch(const FutureWatch&) = delete;
    FutureWatch& operator=(const FutureWatch&) = delete;

protected:
    /// Has room for so many. Throws: `std::bad_alloc`.
    explicit FutureWatch(std::size_t count)
        : parts_(std::make_unique<Part[]>(count)), count_(count) {}
    ~FutureWatch() { stop_watching(); }

    /// How many there is room for.
    std::size_t watched_count() const noexcept { return count_; }
    /// Null if `watch` has not been called with this index.
    FutureBase* watched(std::size_t index) const noexcept { return parts_[index].future; }

    /// Each index once. A future that is done reports in the next iteration.
    void watch(std::size_t index, FutureBase& future) noexcept {
        Part& part = parts_[index];
        part.owner = this;
        part.future = &future;
        part.run = &part_ended;
        future.notify(part);
    }

    /// The owner is told of no future any more, not even of those that have ended already.
    void stop_watching() noexcept {
        for (std::size_t index = 0; index < count_; ++index) {
            if (parts_[index].linked()) parts_[index].unlink();
        }
    }

private:
    struct Part : Ready {
        FutureWatch* owner = nullptr;
        FutureBase* future = nullptr;
    };

    static void part_ended(Ready& node) noexcept {
        auto& part = static_cast<Part&>(node);
        FutureWatch& self = *part.owner;
        const auto index = static_cast<std::size_t>(&part - self.parts_.get());
        static_cast<Owner&>(self).future_ended(index, *part.future);
    }

    std::unique_ptr<Part[]> parts_;
    std::size_t count_;
};

}  // namespace asyncio::internal
