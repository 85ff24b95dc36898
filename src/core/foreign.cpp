#include <asyncio/internal/foreign.h>

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
    assert(phase_ == Phase::starting && "awaits something of ours, and has finished");
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

void ForeignWait::finish(std::coroutine_handle<> frame) noexcept {
    {
        const std::lock_guard lock(mutex_);
        switch (std::exchange(phase_, Phase::finished)) {
            case Phase::starting: return;
            case Phase::parked: return wake(task_);
            case Phase::inside: return continue_inside();
            case Phase::abandoned: break;
            case Phase::finished: assert(false && "resumed twice"); return;
        }
    }
    frame.destroy();
}

void ForeignWait::wake(Ready& node) noexcept {
    if (here.loop == &loop_) {
        loop_.schedule(node);
    } else {
        loop_.post(node);
    }
}

/// In the task's own step the waiting coroutine goes on as the parent of any other does. Elsewhere
/// the task is not parked, so it is sent on from a node of its own.
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
