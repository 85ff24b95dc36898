#include <asyncio/thread_future.h>

#include <asyncio/exceptions.h>

#include "base/log.h"

namespace asyncio::internal {

ThreadCall::ThreadCall(EventLoop& loop) noexcept : loop_(loop) {
    run = &start;
    cancel_request_.run = &cancel_task;
    cancel_request_.call = this;
}

void ThreadCall::release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void ThreadCall::report_unseen(const std::exception_ptr& error) noexcept {
    log(LogLevel::error,
        "an exception of run_coroutine_threadsafe was never retrieved: " + describe(error));
}

// --- The thread's side ---------------------------------------------------------------------------

void ThreadCall::send() {
    if (loop_.is_closed()) {
        release();
        throw RuntimeError("the event loop is closed");
    }
    here.loop == &loop_ ? loop_.schedule(*this) : loop_.post(*this);
}

void ThreadCall::require_other_thread() const {
    if (here.loop == &loop_ && !done())
        throw RuntimeError("the thread of the loop cannot wait for it; await the coroutine");
}

bool ThreadCall::wait_until(TimePoint deadline) {
    require_other_thread();
    return ended_.wait_until(deadline);
}

/// The thread's waiting ends here. The task is asked to end where it runs; that it has ended by
/// then is as well.
bool ThreadCall::cancel() noexcept {
    std::shared_ptr<LoopGate> gate;
    {
        const std::lock_guard lock(mutex_);
        if (is_done_) return false;
        is_done_ = true;
        fail(std::make_exception_ptr(CancelledError()));
        gate = gate_;
    }
    ended_.set();
    if (gate != nullptr) {
        references_.fetch_add(1, std::memory_order_relaxed);
        if (!gate->post(cancel_request_)) release();
    }
    return true;
}

// --- The loop's side -----------------------------------------------------------------------------

bool ThreadCall::claim_end() noexcept {
    const std::lock_guard lock(mutex_);
    return !std::exchange(is_done_, true);
}

void ThreadCall::refuse(std::exception_ptr error) noexcept {
    if (claim_end()) {
        fail(std::move(error));
        ended_.set();
    }
    drop_given();
    release();
}

void ThreadCall::start(Ready& node) noexcept {
    auto& self = static_cast<ThreadCall&>(node);
    if (self.loop_.is_closed())
        return self.refuse(std::make_exception_ptr(RuntimeError("the event loop is closed")));
    try {
        const auto& gate = LoopThreads::of(self.loop_).gate();
        self.future_ = &self.start_task(self.loop_);
        self.drop_given();
        const std::lock_guard lock(self.mutex_);
        self.gate_ = gate;
    } catch (...) {
        return self.refuse(std::current_exception());
    }
    self.run = &task_ended;
    // Cancelled before it began. From here on the thread sends its request itself.
    if (self.done()) self.future_->cancel({});
    self.future_->notify(self);
}

void ThreadCall::task_ended(Ready& node) noexcept {
    auto& self = static_cast<ThreadCall&>(node);
    self.future_ = nullptr;
    self.take_result();
    self.ended_.set();
    self.release();
}

void ThreadCall::cancel_task(Ready& node) noexcept {
    ThreadCall& self = *static_cast<CancelRequest&>(node).call;
    if (self.future_ != nullptr) self.future_->cancel({});
    self.release();
}

}  // namespace asyncio::internal
