#pragma once
// A way to reach a loop from other threads that stays safe when the loop closes or goes.

#include <asyncio/event_loop.h>
#include <asyncio/internal/loop_gate.h>

#include <memory>
#include <utility>

namespace asyncio {

/// Refers to a loop that may be closed or destroyed at any time.
///
/// `EventLoop&` is enough where the loop is known to live: in its tasks and callbacks, and in
/// threads that are joined before the loop goes. A library with callbacks of its own, or a thread
/// that nobody joins, keeps a handle instead and learns from each call whether the loop was still
/// there.
/// Copies refer to the same loop. A handle keeps a few words alive, not the loop.
/// Thread-safety: any thread; one handle is used by one thread at a time, as a `std::shared_ptr`.
/// Python: none; there the loop is an object that the garbage collector keeps, and
/// `call_soon_threadsafe` raises RuntimeError once it is closed.
class LoopHandle {
public:
    /// Of no loop: every call is refused.
    LoopHandle() noexcept = default;
    explicit LoopHandle(EventLoop& loop) noexcept : gate_(loop.gate()) {}

    /// Has `callback()` run on the loop, and wakes the loop if it waits. False if the loop is
    /// closed or gone; the callback is then destroyed here and never runs. A callback that was
    /// taken and that the loop does not come to before it closes is destroyed on the loop's thread.
    ///
    /// The callback begins with a copy of the context of the calling thread.
    /// Throws: `std::bad_alloc`.
    /// Python: `loop.call_soon_threadsafe`.
    bool call_soon_threadsafe(internal::UniqueFunction<void()> callback) const;

    /// Whether every call would be refused now. A handle that answers false may answer true a
    /// moment later.
    bool is_closed() const noexcept { return gate_ == nullptr || gate_->is_shut(); }

    /// The gate itself, null if there is no loop. For the library.
    const std::shared_ptr<internal::LoopGate>& gate() const noexcept { return gate_; }

private:
    std::shared_ptr<internal::LoopGate> gate_;
};

}  // namespace asyncio
