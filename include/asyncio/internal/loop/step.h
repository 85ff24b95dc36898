#pragma once
// The state of a thread during a step, and the trampoline that all coroutines run on.
//
// A *step* is what happens between two suspensions of a task. The loop resumes one coroutine; that
// coroutine may end and hand over to the one that awaits it, and so on, until a coroutine parks.
// Handing over is done by a note and not by a call: code that wants another coroutine to go on
// writes its handle into `here.next` and returns. So the stack never grows with the length of a
// chain of awaits, at any optimisation level.
//
// A coroutine is resumed in two places only: by `resume` below, which the loop calls, and by an
// awaiting parent that starts its child (`Coro`).
//
// The alternative is symmetric transfer: `await_suspend` returns the parent's handle. The compiler
// makes a jump of it when it optimises, and a call when it does not, so a debug build overflows its
// stack after a long chain.

#include <asyncio/internal/base/requirements.h>

#include <coroutine>
#include <utility>

namespace asyncio {
namespace lowlevel {
class Loop;
}

namespace internal {

class TaskCore;
class ContextRef;

struct ThreadState {
    /// The loop that runs on this thread; null outside `run_forever`.
    lowlevel::Loop* loop = nullptr;
    /// The task whose step this is; null in callbacks and outside a loop.
    TaskCore* task = nullptr;
    /// The context of that task or callback; null: the thread's own (`context_state.h`).
    ContextRef* context = nullptr;
    /// The coroutine that continues when the one that runs has returned; null if it has parked.
    std::coroutine_handle<> next = nullptr;
    /// Below this address a parent does not start a child inside its own step.
    const char* stack_limit = nullptr;
    /// Operations that have finished without a suspension since the last one that had to wait. A
    /// task that never has to wait is made to give up control after some of them, so that the
    /// others are not starved.
    unsigned immediate_finishes = 0;
};

/// Without constructor and destructor, so that access is one addition to the thread pointer. The
/// program and its shared libraries share one, also where the program hides its own symbols: a
/// coroutine of one may run in a loop of the other.
[[gnu::visibility("default")]] inline constinit thread_local ThreadState here{};

/// How much stack the nested starts of children may use. A deeper recursion of coroutines continues
/// on the trampoline with an empty stack, at the cost of a resumption for each level. Measured in
/// bytes and not in levels, because the frames of the functions in between have unknown sizes.
inline constexpr long nested_start_stack_bytes = 64 * 1024;

inline const char* stack_position() noexcept {
    return static_cast<const char*>(__builtin_frame_address(0));
}

/// Runs `coroutine`, then the one it leaves in `here.next`, until none is left.
inline void resume(std::coroutine_handle<> coroutine) {
    ThreadState& state = here;
    do {
        coroutine.resume();
        coroutine = std::exchange(state.next, nullptr);
    } while (coroutine);
}

}  // namespace internal
}  // namespace asyncio
