// The end of coroutines that hold each other as arguments.
//
// A coroutine that was never awaited owns its arguments, which may be coroutines too. Destroying
// the outermost one destroys them one inside the other, on a stack that grows with the length of
// the chain. Here the depth is bounded.

#include <asyncio/coro.h>

#include <utility>

namespace asyncio::internal {
namespace {

/// A frame holds its arguments, and these may hold frames: a coroutine that wraps a coroutine, a
/// generator that filters a generator. The program decides how long such a chain is, so only so
/// many are destroyed one inside the other. Frames that lie deeper wait until the outermost has
/// gone. As with futures (`future.cpp`), nothing is counted where the stack is known to be short.
constexpr unsigned deepest_destruction = 64;

struct Destructions {
    unsigned depth = 0;
    /// Linked by `caller`; each frame's handle is kept in its `continuation`. A frame that will
    /// never run needs neither for its own purpose.
    PromiseBase* waiting = nullptr;
};
constinit thread_local Destructions destructions{};

/// The outermost call does the work of the list. Frames that join the list during that are found by
/// the same loop, so it ends with an empty list.
void destroy_deep(std::coroutine_handle<> frame, PromiseBase& promise) noexcept {
    Destructions& state = destructions;
    if (state.depth == deepest_destruction) {
        promise.continuation = frame;
        promise.caller = std::exchange(state.waiting, &promise);
        return;
    }
    ++state.depth;
    frame.destroy();
    if (--state.depth > 0) return;
    while (state.waiting != nullptr) {
        PromiseBase& next = *std::exchange(state.waiting, state.waiting->caller);
        ++state.depth;
        next.continuation.destroy();
        --state.depth;
    }
}

}  // namespace

/// The usual case is the first branch: a loop runs, and the stack is not deep.
void destroy_nested(std::coroutine_handle<> frame, PromiseBase& promise) noexcept {
    if (stack_position() >= here.stack_limit && here.stack_limit != nullptr) [[likely]] {
        frame.destroy();
    } else {
        destroy_deep(frame, promise);
    }
}

}  // namespace asyncio::internal
