// A coroutine that is sent to a loop from another thread, and the thread that waits for its result.
//
// The two sides share one object. Its end is decided once, under the mutex (`claim_end`): by the
// loop's side with a result, or by the thread with a cancellation. The side that has claimed it
// writes the outcome and then announces it. So a cancelled ThreadFuture is done at once, as
// Python's concurrent future is, even if the task still cleans up.
//
// The way of a call:
// 1. `send` posts the object to the loop; one of its two references travels with it.
// 2. Its turn in the loop (`start`) makes the task, and registers with the task's future.
// 3. When the task has ended, `task_ended` takes the result over, wakes the thread, and drops the
//    reference.
//
// A cancellation from the thread may come before the task exists, while it runs, or after it has
// ended. `has_task_` is written and read under the same mutex as the end, so exactly one side
// passes the cancellation on to the task: either the thread finds a task and posts a request, or
// `start` finds that the end was claimed.
//
// A loop that closes gives the object its turn too, and `start` then refuses it. So a thread that
// waits is always woken.

#include <asyncio/thread_future.h>

#include <asyncio/exceptions.h>

#include "base/log.h"
#include "base/thread_sanitizer.h"

namespace asyncio::internal {

// --- Both sides ----------------------------------------------------------------------------------

/// The count is atomic: the two sides drop their references on two threads.
void ThreadEnd::release() noexcept {
    if (release_reference(references_)) delete this;
}

/// The loop's handler cannot be asked from this thread, so the log is what is left.
void ThreadEnd::report_unseen(const std::exception_ptr& error) noexcept {
    constexpr auto what = "an exception of a ThreadFuture was never retrieved";
    log(LogLevel::error, what, [&] { return std::string(what) + ": " + describe(error); });
}

/// A thread that runs the loop of the call would wait for itself, which is refused.
bool ThreadEnd::wait_until(TimePoint deadline) {
    require_other_thread();
    return ended_.wait_until(deadline);
}

/// Does not wait for the other side: its result, when it comes, finds the end claimed and is
/// dropped.
bool ThreadEnd::cancel() noexcept {
    if (!claim_end()) return false;
    fail(std::make_exception_ptr(CancelledError()));
    announce_end();
    return true;
}

/// The single decision about how this ends. Every later claim fails.
bool ThreadEnd::claim_end() noexcept {
    const std::lock_guard lock(mutex_);
    return !std::exchange(is_done_, true);
}

/// The event is set under the mutex, so that `at_end` finds either an end or a place to leave its
/// job. The job runs without the mutex, because it may drop this object.
void ThreadEnd::announce_end() noexcept {
    WorkerJob* job = nullptr;
    {
        const std::lock_guard lock(mutex_);
        ended_.set();
        job = std::exchange(at_end_, nullptr);
    }
    if (job != nullptr) job->run(*job);
}

/// The job belongs to the caller, who keeps it alive until it has run. One job is enough: an end
/// has one awaiting side.
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

/// Begins with two references, one for each side.
ThreadCall::ThreadCall(std::shared_ptr<LoopGate> gate) noexcept
    : ThreadEnd(2), gate_(std::move(gate)) {
    run = &start;
    cancel_request_.run = &cancel_task;
    cancel_request_.call = this;
}

/// On the loop's own thread the node joins the ready queue directly. If the loop is closed the
/// other side will never come, so its reference is dropped here.
void ThreadCall::send() {
    if (gate_ != nullptr && gate_->leads_to(here.loop)) return here.loop->schedule(*this);
    if (gate_ != nullptr && gate_->post(*this)) return;
    release();
    throw RuntimeError(
        "the event loop is closed: asyncio::run_coroutine_threadsafe() needs an open event loop");
}

/// A call that has ended may be asked from anywhere: nothing has to be waited for.
void ThreadCall::require_other_thread() const {
    if (gate_->leads_to(here.loop) && !done())
        throw RuntimeError("ThreadFuture::get() and wait() cannot be called on the loop's thread, "
                           "because the loop would wait for itself; await the coroutine");
}

/// The request to the task is a node of its own, because the call's node may be registered with the
/// task's future at that moment. It travels with a reference of its own.
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

/// The coroutine never ran: it is dropped on the loop's thread, where its arguments belong.
void ThreadCall::refuse(std::exception_ptr error) noexcept {
    if (claim_end()) {
        fail(std::move(error));
        announce_end();
    }
    drop_given();
    release();
}

/// Whether the thread has cancelled before the task was there. If not, the thread sends its
/// requests itself from here on.
bool ThreadCall::was_cancelled_before() noexcept {
    const std::lock_guard lock(mutex_);
    has_task_ = !is_done_;
    return is_done_;
}

/// The coroutine has moved into the task, or has failed to; in both cases nothing is left to be
/// given.
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

/// The node was registered with the task's future, so this runs one iteration after the task has
/// ended: behind the tasks that have awaited it before.
void ThreadCall::task_ended(Ready& node) noexcept {
    auto& self = static_cast<ThreadCall&>(node);
    self.future_ = nullptr;
    self.take_result();
    self.release();
}

/// The task may have ended while the request was on its way.
void ThreadCall::cancel_task(Ready& node) noexcept {
    ThreadCall& self = *static_cast<CancelRequest&>(node).call;
    if (self.future_ != nullptr) self.future_->cancel({});
    self.release();
}

}  // namespace asyncio::internal
