#pragma once
// Watching many futures, and learning which one has ended.
//
// A future keeps a list of nodes that it makes ready when it ends (`FutureBase::notify`). An object
// that waits for many futures needs a node in the list of each, and the way from the node back to
// itself. At its end it must take the nodes that are left out of the lists. A `FutureWatch` does
// all this, as a base class of the waiting object. `gather`, `wait`, `as_completed`,
// `staggered_race` and the end of a loop use it.
//
// The nodes lie in one array. The number of futures is known from the start, and a node must not
// move while it stands in a list. So there is one allocation for all nodes, before anything has
// been changed, and the index of a node is the number of its future.
//
// Each end is reported to the owner one iteration after the future has ended, as CPython calls a
// done-callback. Futures that end in the same iteration are reported in the order in which they
// ended.
//
// The owner may be destroyed while futures are pending: a wait is cancelled, or an iteration is
// dropped. No list of a future may then point into the array. The destructor sees to that.
//
// Lifetime: a watch does not keep its futures alive. The owner holds a handle of each for as long
// as it watches. A future that is destroyed takes the node out of its list, so in the destructor of
// the owner the handles may go before the watch. The watch neither cancels its futures nor marks
// their errors as seen.
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/future_base.h>

#include <cstddef>
#include <memory>

namespace asyncio::internal {

/// The base class of an object that watches futures. `Owner` derives from `FutureWatch<Owner>`, has
/// `void future_ended(std::size_t index, FutureBase& future) noexcept`, and makes
/// `FutureWatch<Owner>` its friend, so that both can be private.
///
/// `future_ended` may call `stop_watching`, and may destroy the owner.
template <class Owner>
class FutureWatch {
public:
    FutureWatch(const FutureWatch&) = delete;
    FutureWatch& operator=(const FutureWatch&) = delete;

protected:
    /// A watch with room for `count` futures. Throws: `std::bad_alloc`.
    explicit FutureWatch(std::size_t count)
        : parts_(std::make_unique<Part[]>(count)), count_(count) {}
    ~FutureWatch() { stop_watching(); }

    /// The number of futures for which there is room.
    std::size_t watched_count() const noexcept { return count_; }
    /// The future with this number; null if `watch` has not been called with it.
    FutureBase* watched(std::size_t index) const noexcept { return parts_[index].future; }

    /// Begins to watch `future`, under the number `index`. Each number is used once. A future that
    /// is done already is reported in the next iteration.
    void watch(std::size_t index, FutureBase& future) noexcept {
        Part& part = parts_[index];
        part.owner = this;
        part.future = &future;
        part.run = &part_ended;
        future.notify(part);
    }

    /// From now on no end is reported to the owner, also if the future has ended already and its
    /// node is in the ready queue: unlinking works in whichever list a node is.
    void stop_watching() noexcept {
        for (std::size_t index = 0; index < count_; ++index) {
            if (parts_[index].linked()) parts_[index].unlink();
        }
    }

private:
    /// The node in the list of one future.
    struct Part : Ready {
        FutureWatch* owner = nullptr;
        FutureBase* future = nullptr;
    };

    /// The place of the node in the array is the number of its future, so the node does not store
    /// it.
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
