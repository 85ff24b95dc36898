// The end of coroutines that hold each other as arguments.
//
// A coroutine that was never awaited owns its arguments, which may be coroutines too. Destroying
// the outermost one destroys them one inside the other, on a stack that grows with the length of
// the chain. Here the depth is bounded.

#include <asyncio/coro.h>

#include "core/nested_destruction.h"

#include <utility>

namespace asyncio::internal {
namespace {

/// A frame holds its arguments, and these may hold frames: a coroutine that wraps a coroutine, a
/// generator that filters a generator. A frame that is destroyed has no caller any more and nothing
/// to continue, so its promise has room for the next frame in line and for its own handle.
struct FrameKind {
    using Node = PromiseBase;

    static void destroy(PromiseBase& promise) noexcept { promise.continuation.destroy(); }
    static void postpone(PromiseBase& promise, PromiseBase* next) noexcept {
        promise.caller = next;
    }
    static PromiseBase* resume(PromiseBase& promise) noexcept {
        return std::exchange(promise.caller, nullptr);
    }
};

constinit thread_local NestedDestruction<FrameKind> nested_frames{};

}  // namespace

/// The usual case is the first branch: a loop runs, and the stack is not deep.
void destroy_nested(std::coroutine_handle<> frame, PromiseBase& promise) noexcept {
    if (is_stack_short()) [[likely]] {
        frame.destroy();
    } else {
        promise.continuation = frame;
        nested_frames.destroy(promise);
    }
}

}  // namespace asyncio::internal
