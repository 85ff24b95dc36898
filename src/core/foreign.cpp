// The meeting of a task with an awaiter of another library, which may resume the bridge at any time
// and on any thread. `foreign.h` describes the bridge; here are the steps of its phases.
//
//   starting → parked      the task, when the other side has not finished within `await_ready`
//   starting → inside      the task, when something of this library was awaited further inside
//   starting → finished    the bridge has ended before the task could park, and the task continues
//   parked → finished      the bridge wakes the task
//   inside → finished      the bridge lets the waiting coroutine continue
//   parked → abandoned     the task was cancelled; the frame belongs to the bridge from here on
//   abandoned → finished   the bridge destroys its own frame
//
// All of them happen under the mutex, because the two sides may be on two threads. The wake-up also
// happens under it: a task that finds `finished` in `leave` has taken the mutex after the other
// thread, so that thread does not touch the loop or the frame any more.

#include <asyncio/internal/core/foreign.h>

#include <cassert>

namespace asyncio::internal {

bool ForeignWait::finished() noexcept {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::finished;
}

bool ForeignWait::begin_parking() noexcept {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::finished) return false;
    phase_ = Phase::parked;
    return true;
}

void ForeignWait::begin_inside(std::coroutine_handle<> waiting, PromiseBase* promise) noexcept {
    const std::lock_guard lock(mutex_);
    assert(phase_ == Phase::starting &&
           "the foreign coroutine awaits an object of the library after its end");
    waiting_ = waiting;
    waiting_promise_ = promise;
    phase_ = Phase::inside;
}

bool ForeignWait::abandon() noexcept {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::finished) return false;
    phase_ = Phase::abandoned;
    return true;
}

/// Only an abandoned frame is destroyed here, outside the mutex, which lies in the frame. In every
/// other case the awaiter of the task owns it.
void ForeignWait::finish(std::coroutine_handle<> frame) noexcept {
    {
        const std::lock_guard lock(mutex_);
        switch (std::exchange(phase_, Phase::finished)) {
            case Phase::starting: return;
            case Phase::parked: return wake(task_);
            case Phase::inside: return continue_inside();
            case Phase::abandoned: break;
            case Phase::finished:
                assert(false && "the foreign coroutine was resumed twice");
                return;
        }
    }
    frame.destroy();
}

/// A post from another thread goes through the inbox. On the loop's own thread the node joins the
/// ready queue directly, which keeps the order of events.
void ForeignWait::wake(Ready& node) noexcept {
    if (here.loop == &loop_) {
        loop_.schedule(node);
    } else {
        loop_.post(node);
    }
}

/// In the task's own step the waiting coroutine continues like the parent of any child that ends.
/// Anywhere else the task is not parked at an awaiter of its own, so a node of the bridge is made
/// ready, and its turn makes the task ready at the right coroutine.
void ForeignWait::continue_inside() noexcept {
    if (here.loop == &loop_ && here.task == &task_) {
        here.next = waiting_;
        return;
    }
    run = [](Ready& node) noexcept {
        auto& self = static_cast<ForeignWait&>(node);
        self.task_.yield(self.waiting_, self.waiting_promise_);
        self.loop_.schedule(self.task_);
    };
    wake(*this);
}

}  // namespace asyncio::internal
