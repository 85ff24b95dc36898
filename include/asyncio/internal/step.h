#pragma once
// What a thread knows about the step it is executing, and the trampoline that all coroutines run
// on.
//
// A *step* is what happens between two suspensions of a task: the loop resumes one coroutine, that
// one may finish and hand over to the one that awaits it, and so on, until somebody parks. Handing
// over is done by a note, not by a call: whoever wants another coroutine to go on writes its handle
// into `here.next` and returns. So the stack never grows with the length of a chain of awaits, at
// any optimisation level, and a coroutine is resumed in two places only: by `resume` below, which
// the loop calls, and by an awaiting parent that starts its child (`Coro`).

#include <asyncio/internal/requirements.h>

#include <coroutine>
#include <utility>

namespace asyncio {

class EventLoop;

namespace internal {

class TaskCore;
class ContextRef;

struct ThreadState {
    /// The loop that runs on this thread now; null outside `run_forever`.
    EventLoop* loop = nullptr;
    /// The task whose step this is; null in callbacks.
    TaskCore* task = nullptr;
    /// The context of that task or callback; null: the thread's own (`context_state.h`).
    ContextRef* context = nullptr;
    /// Who goes on when the coroutine that runs now has returned.
    std::coroutine_handle<> next = nullptr;
    /// Below this address a parent no longer starts a child inside its own step.
    const char* stack_limit = nullptr;
    /// Operations that finished without a suspension, since the last time that called for one.
    unsigned immediate_finishes = 0;
};

/// Without constructor or destructor, so that access is one addition to the thread pointer. One for
/// the program and its shared libraries, also where the program hides its own symbols.
[[gnu::visibility("default")]] inline constinit thread_local ThreadState here{};

/// How much stack the nested starts of children may use. A recursion of coroutines deeper than that
/// continues on the trampoline with an empty stack; it then costs what a resumption costs.
inline constexpr long nested_start_stack_bytes = 64 * 1024;

inline const char* stack_position() noexcept {
    return static_cast<const char*>(__builtin_frame_address(0));
}

/// Runs `coroutine`, then whoever it leaves in `here.next`, until nobody is left.
inline void resume(std::coroutine_handle<> coroutine) {
    ThreadState& state = here;
    do {
        coroutine.resume();
        coroutine = std::exchange(state.next, nullptr);
    } while (coroutine);
}

}  // namespace internal
}  // namespace asyncio
