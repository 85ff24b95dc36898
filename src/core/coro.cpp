// The end of coroutines that hold each other.

#include <asyncio/coro.h>

#include <utility>

namespace asyncio::internal {
namespace {

/// A frame holds its arguments, and these may hold frames: a coroutine that wraps a coroutine, a
/// generator that filters a generator. How long such a chain is, is up to the program, so only so
/// many are destroyed one inside the other; what lies deeper waits until the outermost has gone. As
/// with futures (`future.cpp`), nothing is counted where the stack is known to be short.
constexpr unsigned deepest_destruction = 64;

struct Destructions {
    unsigned depth = 0;
    /// Linked by `caller`, which nobody needs any more; each has its own handle in `continuation`.
    PromiseBase* waiting = nullptr;
};
constinit thread_local Destructions destructions{};

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

void destroy_nested(std::coroutine_handle<> frame, PromiseBase& promise) noexcept {
    if (stack_position() >= here.stack_limit && here.stack_limit != nullptr) [[likely]] {
        frame.destroy();
    } else {
        destroy_deep(frame, promise);
    }
}

}  // namespace asyncio::internal
