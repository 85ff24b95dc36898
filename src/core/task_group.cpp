#include <asyncio/task_group.h>

#include <cassert>
#include <string>

namespace asyncio {

/// A task of the group: registered with it as its done-callback, and listed here until it has
/// ended.
struct TaskGroup::Child final : internal::Ready, internal::Resident, internal::Pooled {
    Child(TaskGroup& owner, internal::TaskCore& core, std::shared_ptr<internal::StartBase> start)
        : group(owner),
          task(internal::Ref<internal::FutureBase>::share(&core.future())),
          starting(std::move(start)) {
        run = &child_done;
    }

    TaskGroup& group;
    internal::Ref<internal::FutureBase> task;
    /// Null for one that was just created.
    std::shared_ptr<internal::StartBase> starting;
};

TaskGroup::TaskGroup()
    : parent_(internal::running_task("asyncio::task_group()")),
      loop_(parent_.loop()),
      mask_(parent_.mask()),
      requests_at_entry_(std::int64_t{parent_.cancelling()} - (parent_.must_cancel() ? 1 : 0)) {}

TaskGroup::~TaskGroup() { assert(children_.empty() && "a task group outlives its tasks"); }

void TaskGroup::require_open() const {
    if (exiting_ && children_.empty()) throw RuntimeError("the task group is over");
    if (aborting_) throw RuntimeError("the task group is shutting down");
}

void TaskGroup::require_own_task() const {
    constexpr auto function = "TaskGroup::start()";
    if (&internal::running_task(function).loop() != &loop_)
        throw RuntimeError(std::string(function) + " needs a task of the group's event loop");
}

void TaskGroup::adopt(internal::TaskCore& core, std::shared_ptr<internal::StartBase> starting) {
    auto* child = new Child(*this, core, std::move(starting));
    children_.push_back(*child);
    core.future().notify(*child);
}

void TaskGroup::child_done(internal::Ready& node) noexcept {
    auto* child = static_cast<Child*>(&node);
    TaskGroup& group = child->group;
    const internal::Ref<internal::FutureBase> task = std::move(child->task);
    const std::shared_ptr<internal::StartBase> starting = std::move(child->starting);
    child->Resident::unlink();
    delete child;

    if (group.children_.empty() && group.all_done_ && !group.all_done_->done())
        group.all_done_->set_result();
    if (starting != nullptr && !starting->told.is_open() && !starting->abandoned)
        return ended_unready(*task, *starting);
    if (task->cancelled()) return;
    if (std::exception_ptr error = task->error()) {
        task->mark_retrieved();
        group.child_failed(std::move(error));
    }
}

/// Its error goes to the one who waits in `start`.
void TaskGroup::ended_unready(internal::FutureBase& task, internal::StartBase& starting) {
    std::exception_ptr error = task.error();
    task.mark_retrieved();
    if (error == nullptr)
        error = std::make_exception_ptr(RuntimeError("the task ended before it was ready"));
    starting.fail(std::move(error));
    starting.told.open();
}

Coro<Outcome<void>> TaskGroup::wait_for_start(TaskRef child, internal::StartBase& state) {
    Outcome<void> waited = co_await internal::settle(internal::Gate::Passage(state.told));
    if (waited.failed()) {
        state.abandoned = true;
        // A group that is shutting down has told it already, and once more would disturb its
        // cleanup.
        if (!aborting_) child.cancel();
        co_await internal::Join(child.core()->future());
        // The cancellation that leaves now stands for all that have come meanwhile.
        internal::here.task->withdraw();
    }
    co_return waited;
}

void TaskGroup::child_failed(std::exception_ptr error) {
    errors_.push_back(std::move(error));
    if (aborting_ || parent_interrupted_) return;
    abort();
    interrupt_parent();
}

void TaskGroup::cancel() {
    if (exiting_ && children_.empty()) return;
    if (!aborting_) abort();
    if (!parent_interrupted_) interrupt_parent();
}

void TaskGroup::abort() {
    aborting_ = true;
    children_.for_each(
        [](internal::Resident& child) { static_cast<Child&>(child).task->cancel({}); });
}

void TaskGroup::interrupt_parent() {
    parent_interrupted_ = true;
    parent_.cancel({}, mask_);
}

Coro<TaskGroup::End> TaskGroup::finish(std::exception_ptr body_error, bool body_cancelled) {
    exiting_ = true;
    requests_at_finish_ = std::int64_t{parent_.cancelling()} - (parent_interrupted_ ? 1 : 0);
    std::exception_ptr cancellation = body_cancelled ? body_error : nullptr;
    if (body_error != nullptr && !aborting_) abort();
    while (!children_.empty()) {
        all_done_ = loop_.create_future();
        const Outcome<void> waited = co_await internal::settle(*all_done_);
        // A cancellation that comes while the children are ending already changes nothing for them.
        // It is not lost: the parent's count keeps it.
        if (waited.cancelled() && !aborting_) {
            cancellation = waited.error();
            abort();
        }
        all_done_.reset();
    }
    co_return conclude(std::move(body_error), body_cancelled, std::move(cancellation));
}

TaskGroup::End TaskGroup::conclude(std::exception_ptr body_error, bool body_cancelled,
                                   std::exception_ptr cancellation) {
    // What the group asked of its parent it takes back. If that was the only request, the
    // CancelledError was ours.
    if (parent_interrupted_ && parent_.uncancel() == 0) cancellation = nullptr;
    if (cancellation != nullptr && errors_.empty()) {
        // A request of others that came after ours, and was not delivered: theirs leaves, with its
        // reason.
        if (parent_interrupted_ && parent_.must_cancel()) return {parent_.take_cancellation()};
        return {std::move(cancellation)};
    }
    if (body_error != nullptr && !body_cancelled) errors_.push_back(std::move(body_error));
    // Somebody else may have cancelled the parent while the group, cancelled already, was winding
    // up, so that the wait for the children swallowed that; or in the body, beside a request of
    // ours. What the body has swallowed without our doing stays swallowed.
    const std::int64_t known = parent_interrupted_ ? requests_at_entry_ : requests_at_finish_;
    if (errors_.empty() && parent_.cancelling() > known && !parent_.must_cancel()) {
        return {parent_.take_cancellation()};
    }
    if (errors_.empty()) return {nullptr, body_cancelled};
    // Errors go first, but a request from outside must still be felt at the next await: renew it,
    // count unchanged.
    if (parent_.cancelling() > 0) {
        parent_.uncancel();
        parent_.cancel({}, mask_);
    }
    return {std::make_exception_ptr(
        ExceptionGroup("unhandled errors in a TaskGroup", std::move(errors_)))};
}

void internal::throw_started_twice() {
    throw RuntimeError("the task has said before that it is ready");
}

void internal::throw_group_stopped() {
    throw RuntimeError("the task group was cancelled before its body had a value to return");
}

}  // namespace asyncio
