#pragma once
// A scheduled callback: what a `Handle` refers to.
//
// States, and which side may leave each:
//   scheduled → running    the loop, when the callback's turn comes
//   scheduled → cancelled  an owner of a handle; on any thread, if the handle came from
//                          `call_soon_threadsafe`
//   running → done         the loop
//
// Exactly one side wins a step out of `scheduled`, and the winner destroys the callable. So a
// cancelled callback has released what it captured when `cancel` returns, and a node that is still
// queued somewhere is merely skipped.
//
// A thread that cancels too late, because the callback runs, waits for its end: the caller of
// `cancel` may destroy afterwards what the callback uses. On the loop's own thread that would be a
// wait for itself, so a callback that cancels itself just continues.
//
// The node is kept alive by its handles and, while it is queued or armed, by the loop. The count is
// atomic because handles may be dropped on other threads.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/internal/loop/context_state.h>

#include <atomic>
#include <cstdint>

namespace asyncio::internal {

/// Calls `function` as the loop calls every callback: in `context`, and in debug mode under watch.
/// An exception goes to the exception handler of `loop`.
void call_in_loop(EventLoop& loop, ContextRef& context, UniqueFunction<void()>& function) noexcept;

class CallbackNode : public Ready, public Pooled {
public:
    CallbackNode(EventLoop& loop, UniqueFunction<void()> function);

    /// A new reference is always a copy of an existing one, so the increment needs no order. The
    /// last decrement must see everything that the other owners have done, before the node is
    /// deleted.
    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

    void cancel() noexcept;
    bool cancelled() const noexcept;

    /// Used only by a callback with a deadline, and armed until the deadline comes.
    Timer timer;
    TimePoint when{};

private:
    enum class State : std::uint8_t { scheduled, running, done, cancelled };

    static void run_node(Ready& node) noexcept;
    void call() noexcept;
    /// Blocks until the callback has ended, on any thread but the loop's.
    void wait_while_running() const noexcept;
    bool leave_scheduled(State to) noexcept;

    EventLoop& loop_;
    /// Empty once the callback has run or was cancelled. Only the side that has moved the state out
    /// of `scheduled` may use it.
    UniqueFunction<void()> function_;
    /// A copy of the context in which the callback was registered, as in Python.
    ContextRef context_;
    std::atomic<std::uint32_t> references_{1};
    std::atomic<State> state_{State::scheduled};
};

}  // namespace asyncio::internal
