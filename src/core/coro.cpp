// The end of coroutines that hold each other.

#include <asyncio/coro.h>

#include "core/nested_destruction.h"

#include <utility>

namespace asyncio::internal {
namespace {

/// A frame holds its arguments, and these may hold frames: a coroutine that wraps a coroutine, a
/// generator that filters a generator. A frame that is destroyed has no caller any more and nothing
/// to continue, so its promise has room for the next in line and for its own handle.
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

void destroy_nested(std::coroutine_handle<> frame, PromiseBase& promise) noexcept {
    if (is_stack_short()) [[likely]] {
        frame.destroy();
    } else {
        promise.continuation = frame;
        nested_frames.destroy(promise);
    }
}

}  // namespace asyncio::internal
