#pragma once
// A way to reach a loop from other threads that stays safe when the loop closes or is destroyed.
//
// A thread cannot ask "is the loop still there?" and then use it: the loop may close between the
// two. So a handle keeps the loop's gate alive (`internal/loop/loop_gate.h`), and each call asks
// and posts in one step.

#include <asyncio/event_loop.h>
#include <asyncio/internal/loop/loop_gate.h>

#include <memory>
#include <utility>

namespace asyncio {

/// A reference to a loop that may be closed or destroyed at any time.
///
/// `EventLoop&` is enough where the loop is known to exist: in its tasks and callbacks, and in
/// threads that are joined before the loop is destroyed. A library that calls back at unknown
/// times, or a thread that is not joined, keeps a handle instead, and learns from each call whether
/// the loop was still there. Copies refer to the same loop. A handle keeps a few words alive, not
/// the loop.
/// Thread-safety: any thread. A handle object is used by one thread at a time, like a
/// `std::shared_ptr`.
/// Python: none; there the loop is an object that the garbage collector keeps, and
/// `call_soon_threadsafe` raises RuntimeError once it is closed.
class LoopHandle {
public:
    /// Refers to no loop: every call is refused.
    LoopHandle() noexcept = default;
    /// Refers to `loop`. Only this constructor needs the loop to exist.
    explicit LoopHandle(EventLoop& loop) noexcept : gate_(loop.gate()) {}

    /// Runs `callback()` on the loop, and wakes the loop if it waits. Returns false if the loop is
    /// closed or gone; the callback is destroyed inside this call then, and never runs. If this
    /// returns true and the loop closes before it comes to the callback, the callback is destroyed
    /// on the loop's thread.
    ///
    /// The callback runs in a copy of the calling thread's context.
    /// Throws: `std::bad_alloc`.
    /// Python: `loop.call_soon_threadsafe`.
    bool call_soon_threadsafe(internal::UniqueFunction<void()> callback) const;

    /// Whether every call would be refused now. The answer may change from false to true at any
    /// moment.
    bool is_closed() const noexcept { return gate_ == nullptr || gate_->is_shut(); }

    /// For the library: the gate; null if the handle refers to no loop.
    const std::shared_ptr<internal::LoopGate>& gate() const noexcept { return gate_; }

private:
    std::shared_ptr<internal::LoopGate> gate_;
};

}  // namespace asyncio
