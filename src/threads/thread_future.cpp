#include <asyncio/thread_future.h>

#include <asyncio/exceptions.h>

#include "base/log.h"
#include "base/thread_sanitizer.h"

namespace asyncio::internal {

// --- Both sides ----------------------------------------------------------------------------------

void ThreadEnd::release() noexcept {
    if (release_reference(references_)) delete this;
}

void ThreadEnd::report_unseen(const std::exception_ptr& error) noexcept {
    constexpr auto what = "an exception of a ThreadFuture was never retrieved";
    log(LogLevel::error, what, [&] { return std::string(what) + ": " + describe(error); });
}

bool ThreadEnd::wait_until(TimePoint deadline) {
    require_other_thread();
    return ended_.wait_until(deadline);
}

bool ThreadEnd::cancel() noexcept {
    if (!claim_end()) return false;
    fail(std::make_exception_ptr(CancelledError()));
    announce_end();
    return true;
}

bool ThreadEnd::claim_end() noexcept {
    const std::lock_guard lock(mutex_);
    return !std::exchange(is_done_, true);
}

void ThreadEnd::announce_end() noexcept {
    WorkerJob* job = nullptr;
    {
        const std::lock_guard lock(mutex_);
        ended_.set();
        job = std::exchange(at_end_, nullptr);
    }
    if (job != nullptr) job->run(*job);
}

void ThreadEnd::at_end(WorkerJob& job) noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (!ended_.is_set()) {
            at_end_ = &job;
            return;
        }
    }
    job.run(job);
}

// --- A call: the thread's side -------------------------------------------------------------------

/// One reference for each side.
ThreadCall::ThreadCall(std::shared_ptr<LoopGate> gate) noexcept
    : ThreadEnd(2), gate_(std::move(gate)) {
    run = &start;
    cancel_request_.run = &cancel_task;
    cancel_request_.call = this;
}

void ThreadCall::send() {
    if (gate_ != nullptr && gate_->leads_to(here.loop)) return here.loop->schedule(*this);
    if (gate_ != nullptr && gate_->post(*this)) return;
    release();
    throw RuntimeError("the event loop is closed: asyncio::run_coroutine_threadsafe() needs one "
                       "that is open");
}

void ThreadCall::require_other_thread() const {
    if (gate_->leads_to(here.loop) && !done())
        throw RuntimeError("ThreadFuture::get() and wait() need another thread than the loop's, "
                           "which would wait for itself; await the coroutine");
}

bool ThreadCall::cancel() noexcept {
    if (!ThreadEnd::cancel()) return false;
    bool has_task = false;
    {
        const std::lock_guard lock(mutex_);
        has_task = has_task_;
    }
    if (has_task) {
        retain();
        if (!gate_->post(cancel_request_)) release();
    }
    return true;
}

// --- A call: the loop's side ---------------------------------------------------------------------

void ThreadCall::refuse(std::exception_ptr error) noexcept {
    if (claim_end()) {
        fail(std::move(error));
        announce_end();
    }
    drop_given();
    release();
}

/// Whether the thread has cancelled before the task was there to be told. If not, the thread sends
/// its request itself from here on: either it finds that there is a task or this finds the end.
bool ThreadCall::was_cancelled_before() noexcept {
    const std::lock_guard lock(mutex_);
    has_task_ = !is_done_;
    return is_done_;
}

void ThreadCall::start(Ready& node) noexcept {
    auto& self = static_cast<ThreadCall&>(node);
    if (self.gate_->is_shut())
        return self.refuse(error_with<RuntimeError>("the event loop is closed"));
    try {
        self.future_ = &self.start_task(get_running_loop());
        self.drop_given();
    } catch (...) {
        return self.refuse(std::current_exception());
    }
    self.run = &task_ended;
    if (self.was_cancelled_before()) self.future_->cancel({});
    self.future_->notify(self);
}

void ThreadCall::task_ended(Ready& node) noexcept {
    auto& self = static_cast<ThreadCall&>(node);
    self.future_ = nullptr;
    self.take_result();
    self.release();
}

void ThreadCall::cancel_task(Ready& node) noexcept {
    ThreadCall& self = *static_cast<CancelRequest&>(node).call;
    if (self.future_ != nullptr) self.future_->cancel({});
    self.release();
}

}  // namespace asyncio::internal
