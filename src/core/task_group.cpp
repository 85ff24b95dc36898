#include <asyncio/task_group.h>

#include <cassert>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

/// The wait for the children that are left. A request that comes when the last of them has ended is
/// delivered all the same.
class TaskGroup::Rest : public lowlevel::Waiter {
public:
    explicit Rest(TaskGroup& group) noexcept : group_(group) {}

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        group_.waiting_ = &task();
        park(coroutine, &stop_waiting);
    }
    void await_resume() { resumed(); }
    Outcome<void> take_outcome() {
        Outcome<void> outcome;
        outcome.emplace();
        if (std::exception_ptr cancellation = resumed_quietly())
            outcome.fail(std::move(cancellation));
        return outcome;
    }

private:
    static Abort stop_waiting(lowlevel::Waiter& waiter, std::string_view) noexcept {
        TaskGroup& group = static_cast<Rest&>(waiter).group_;
        if (group.waiting_ == nullptr) return Abort::too_late;
        group.waiting_ = nullptr;
        return Abort::removed;
    }

    TaskGroup& group_;
};

TaskGroup::TaskGroup()
    : parent_(internal::running_task("asyncio::task_group()")),
      loop_(parent_.loop()),
      mask_(parent_.mask()),
      requests_at_entry_(std::int64_t{parent_.cancelling()} - (parent_.must_cancel() ? 1 : 0)) {}

TaskGroup::~TaskGroup() {
    assert(children_.empty() && "a task group outlives its tasks");
    while (!failed_.empty()) delete static_cast<Child*>(&failed_.pop_front());
}

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
    Child* child = nullptr;
    try {
        child = new Child(*this, core, std::move(starting));
    } catch (...) {
        core.discard();  // nobody would wait for it
        throw;
    }
    children_.push_back(*child);
    core.future().notify(*child);
}

void TaskGroup::child_done(internal::Ready& node) noexcept {
    std::unique_ptr<Child> child(static_cast<Child*>(&node));
    TaskGroup& group = child->group;
    internal::FutureBase& task = *child->task;
    child->Resident::unlink();
    if (group.children_.empty() && group.waiting_ != nullptr)
        group.loop_.schedule(*std::exchange(group.waiting_, nullptr));
    internal::StartBase* const starting = child->starting.get();
    if (starting != nullptr && !starting->told.is_open() && !starting->abandoned)
        return ended_unready(task, *starting);
    if (task.succeeded() || task.cancelled()) return;
    task.mark_retrieved();
    group.failed_.push_back(*child.release());
    group.child_failed();
}

/// Its error goes to the one who waits in `start`; without one, that makes its own.
void TaskGroup::ended_unready(internal::FutureBase& task, internal::StartBase& starting) noexcept {
    task.mark_retrieved();
    if (!task.succeeded()) starting.fail(task.error());
    starting.told.open();
}

Coro<Outcome<void>> TaskGroup::wait_for_start(const TaskRef& child, internal::StartBase& state) {
    Outcome<void> waited = co_await internal::settle(internal::Gate::Passage(state.told));
    if (waited.failed()) {
        state.abandoned = true;
        // A group that is shutting down has told it already, and once more would disturb its
        // cleanup.
        if (!aborting_) internal::CancelWalk({}).ask_for(parent_, child.core()->future());
        co_await internal::Join(child.core()->future());
        // The cancellation that leaves now stands for all that have come meanwhile.
        internal::here.task->withdraw();
    }
    co_return waited;
}

void TaskGroup::child_failed() noexcept {
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
    children_.for_each([this](internal::Resident& resident) {
        internal::FutureBase& child = *static_cast<Child&>(resident).task;
        // Until its body has ended the parent does not wait for its children, and can be awaited.
        if (exiting_) {
            internal::CancelWalk({}).ask_for(parent_, child);
        } else {
            child.cancel({});
        }
    });
}

void TaskGroup::interrupt_parent() {
    parent_interrupted_ = true;
    parent_.cancel({}, mask_);
}

Coro<TaskGroup::End> TaskGroup::finish() {
    exiting_ = true;
    requests_at_finish_ = parent_.cancelling();
    std::exception_ptr cancellation = body_cancelled_ ? body_error_ : nullptr;
    if (body_error_ != nullptr && !aborting_) abort();
    while (!children_.empty()) {
        const Outcome<void> waited = co_await internal::settle(Rest(*this));
        // A cancellation that comes while the children are ending already changes nothing for them.
        // It is not lost: the parent's count keeps it.
        if (waited.cancelled() && !aborting_) {
            cancellation = waited.error();
            abort();
        }
    }
    co_return conclude(std::move(cancellation));
}

/// The children have ended. From here on memory may be short.
TaskGroup::End TaskGroup::conclude(std::exception_ptr cancellation) {
    // What the group asked of its parent it takes back. If that was the only request, the
    // CancelledError was ours.
    if (parent_interrupted_ && parent_.uncancel() == 0) cancellation = nullptr;
    if (cancellation != nullptr && failed_.empty()) {
        // A request of others that came after ours, and was not delivered: theirs leaves, with its
        // reason.
        if (parent_interrupted_ && parent_.must_cancel()) return {parent_.take_cancellation()};
        return {std::move(cancellation)};
    }
    const bool body_failed = body_error_ != nullptr && !body_cancelled_;
    const bool has_errors = body_failed || !failed_.empty();
    // Somebody else may have cancelled the parent while the group, cancelled already, was winding
    // up, so that the wait for the children swallowed that; or in the body, beside a request of
    // ours. What the body has swallowed without our doing stays swallowed.
    const std::int64_t known = parent_interrupted_ ? requests_at_entry_ : requests_at_finish_;
    if (!has_errors && parent_.cancelling() > known && !parent_.must_cancel()) {
        return {parent_.take_cancellation()};
    }
    if (!has_errors) return {nullptr, body_cancelled_};
    // Errors go first, but a request from outside must still be felt at the next await: renew it,
    // count unchanged.
    if (parent_.cancelling() > 0) {
        parent_.uncancel();
        parent_.cancel({}, mask_);
    }
    return {joined_errors()};
}

/// In the order in which they came; that of the body, if it is none of a cancellation, at the end.
std::exception_ptr TaskGroup::joined_errors() {
    std::vector<std::exception_ptr> errors;
    failed_.for_each([&errors](internal::Resident& child) {
        errors.push_back(static_cast<Child&>(child).task->error());
    });
    if (body_error_ != nullptr && !body_cancelled_) errors.push_back(body_error_);
    return std::make_exception_ptr(
        ExceptionGroup("unhandled errors in a TaskGroup", std::move(errors)));
}

void internal::throw_ended_unready() { throw RuntimeError("the task ended before it was ready"); }

void internal::throw_started_twice() {
    throw RuntimeError("the task has said before that it is ready");
}

void internal::throw_group_stopped() {
    throw RuntimeError("the task group was cancelled before its body had a value to return");
}

}  // namespace asyncio
