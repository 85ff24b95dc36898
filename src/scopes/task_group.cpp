// A task group: the end of a child, the cancellation of the parent, and the end of the body. The
// code follows CPython's `TaskGroup` step by step, because the outcome of every race in here is
// visible to the program.
//
// The parts. The group object lies in the frame of `task_group_scope`. The parent task runs the
// body, then `finish`, which waits for the children, and then `conclude`, which decides how the
// group ends. Each child has a node (`Child`) that is registered with the child's future like a
// done-callback, so `child_done` runs one iteration after the child has ended. When the last child
// has reported, the parent is made ready and runs one iteration later.
//
// Ownership. A `Child` belongs to the group. It holds a reference to its task until it has
// reported, so the error of a child cannot be lost when the program drops its handle. The node of a
// child that failed is kept in `failed_` instead of being deleted: the errors are collected at the
// end, and to note a failure needs no memory. The group cannot go before its children have ended,
// because its frame waits for them.
//
// How it ends early. `abort` cancels the children, once. `request_` cancels the parent, so that its
// body or its wait ends; this request is the group's own, and `conclude` takes it back.
// The first child that fails does both. A body that fails does only the first, because the body has
// ended already. After an `abort` later errors are only collected.
//
// The question is whose request it was. The parent may be cancelled by this group, by a limit or a
// group around it, by a scope inside it, and by any other task, all in one iteration. The answer is
// to count: `internal/core/own_request.h` says how.
//
// Starting a child with `start` adds a child that is not a full member yet. Until it calls
// `started`, its error belongs to the task that waits in `start` and not to the group, and its
// cancellation is part of the cancellation of that task.

#include <asyncio/task_group.h>

#include <asyncio/internal/core/join.h>
#include <asyncio/internal/scopes/joined_errors.h>

#include <cassert>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {

/// A child of the group: the node that is registered with the child's future, and the group's list
/// entry for as long as the child has not ended.
struct TaskGroup::Child final : internal::Ready, internal::Resident, internal::Pooled {
    Child(TaskGroup& owner, internal::TaskCore& core, std::shared_ptr<internal::StartBase> start)
        : group(owner),
          task(internal::Ref<internal::FutureBase>::share(&core.future())),
          starting(std::move(start)) {
        run = &child_done;
    }

    TaskGroup& group;
    internal::Ref<internal::FutureBase> task;
    /// Null for a child that was made by `create_task`; `start` gives one.
    std::shared_ptr<internal::StartBase> starting;
};

/// The wait for the children that are left. Unlike most waits with an effect, this one also throws
/// a request that came after the last child had ended. CPython delivers the request here, too: the
/// group is about to end and to return to the program's code.
class TaskGroup::Rest : public lowlevel::LineWaiter {
public:
    using Wait = lowlevel::Awaiting<Rest, TaskGroup&>;

    explicit Rest(TaskGroup& group) noexcept : group_(group) {}

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        wait_in(group_.at_the_end_, coroutine);
    }
    void await_resume() { resumed(); }
    Outcome<void> take_outcome() { return internal::outcome_of_wait(resumed_quietly()); }

private:
    TaskGroup& group_;
};

TaskGroup::TaskGroup()
    : parent_(internal::running_task("asyncio::task_group()")),
      loop_(internal::face_of(parent_.loop())),
      request_(parent_) {}

/// Only the nodes of children that failed are left; their tasks have ended.
TaskGroup::~TaskGroup() {
    assert(children_.empty() && "a task group must live longer than its tasks");
    while (!failed_.empty()) delete static_cast<Child*>(&failed_.pop_front());
}

/// CPython has the same two refusals. A group whose body has ended still takes tasks as long as a
/// child runs, because a child may add further ones.
void TaskGroup::require_open() const {
    if (exiting_ && children_.empty()) throw RuntimeError("the task group has ended");
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
        core.discard();  // the group could not wait for it
        throw;
    }
    children_.push_back(*child);
    core.future().notify(*child);
}

/// The parent is made ready before the error is looked at. The order of events does not depend on
/// that, since it runs in the next iteration. The request to the parent may come too late for a
/// parent that is ready; `Rest` throws the request nevertheless.
///
/// A child that was cancelled is no error: either the group has cancelled it, or the program has
/// cancelled this one child itself.
void TaskGroup::child_done(internal::Ready& node) noexcept {
    std::unique_ptr<Child> child(static_cast<Child*>(&node));
    TaskGroup& group = child->group;
    internal::FutureBase& task = *child->task;
    child->Resident::unlink();
    if (group.children_.empty() && !group.at_the_end_.empty()) group.at_the_end_.front().wake();
    internal::StartBase* const starting = child->starting.get();
    if (starting != nullptr && !starting->told.is_open() && !starting->abandoned)
        return ended_unready(task, *starting);
    if (task.succeeded() || task.cancelled()) return;
    task.mark_retrieved();
    group.failed_.push_back(*child.release());
    group.child_failed();
}

/// A child has ended without having called `started`. Its error goes to the task that waits in
/// `start`. If it has ended without an error, that task makes a RuntimeError.
void TaskGroup::ended_unready(internal::FutureBase& task, internal::StartBase& starting) noexcept {
    task.mark_retrieved();
    if (!task.succeeded()) starting.fail(task.error());
    starting.told.open();
}

/// Two waits, one after the other. The first can be cancelled; then the child is cancelled, and the
/// second wait lasts until it has ended, so that no child is left that has started but is not
/// ready. The request is handed on with the parent as the asker: the child may itself wait for the
/// parent, which makes a circle that the walk has to open.
Coro<Outcome<void>> TaskGroup::wait_for_start(const TaskRef& child, internal::StartBase& state) {
    Outcome<void> waited = co_await internal::settle(state.told.opened());
    if (waited.failed()) {
        state.abandoned = true;
        // A group that is shutting down has cancelled the child already. A second request would
        // disturb its cleanup.
        if (!aborting_) internal::CancelWalk({}).ask_for(parent_, child.core()->future());
        co_await internal::Join(child.core()->future());
        // All requests that have come during the two waits leave as one CancelledError, as with any
        // await.
        internal::here.task->withdraw();
    }
    co_return waited;
}

/// Only the first failure acts. After `TaskGroup::cancel`, or after an error of the body, the
/// children are ending already.
void TaskGroup::child_failed() noexcept {
    if (aborting_ || request_.is_made()) return;
    abort();
    request_.make();
}

/// `cancel` works from the body, from a child and from any other task of the loop. When body and
/// children have ended it has no effect: the group is deciding how it ends.
void TaskGroup::cancel() {
    if (exiting_ && children_.empty()) return;
    if (!aborting_) abort();
    if (!request_.is_made()) request_.make();
}

void TaskGroup::abort() {
    aborting_ = true;
    children_.for_each([this](internal::Resident& resident) {
        internal::FutureBase& child = *static_cast<Child&>(resident).task;
        // While the parent waits for its children, a child that waits for the parent closes a
        // circle: the walk must know that the parent is on the path. Before that the parent runs
        // its body, and a child that waits for it has a wait that will end.
        if (exiting_) {
            internal::CancelWalk({}).ask_for(parent_, child);
        } else {
            child.cancel({});
        }
    });
}

/// The wait is repeated until the children are gone, however often the parent is cancelled. Only
/// the first cancellation that comes before an `abort` has an effect: it becomes the error that
/// leaves, and cancels the children.
Coro<TaskGroup::End> TaskGroup::finish() {
    exiting_ = true;
    requests_at_finish_ = parent_.cancelling();
    std::exception_ptr cancellation = body_cancelled_ ? body_error_ : nullptr;
    if (body_error_ != nullptr && !aborting_) abort();
    while (!children_.empty()) {
        const Outcome<void> waited = co_await internal::settle(Rest::Wait(*this));
        // A cancellation that comes while the children are ending already changes nothing for them.
        // The request is not lost: the parent's count keeps it, and `conclude` looks there.
        if (waited.cancelled() && !aborting_) {
            cancellation = waited.error();
            abort();
        }
    }
    co_return conclude(std::move(cancellation));
}

/// The children have ended, and the group decides how it ends itself. From here on memory may be
/// short: the children are safe.
TaskGroup::End TaskGroup::conclude(std::exception_ptr cancellation) {
    // The group takes back its own request. If no other request is left, the CancelledError was the
    // group's doing and must not leave.
    if (request_.is_made() && request_.take_back() == 0) cancellation = nullptr;
    if (cancellation != nullptr && failed_.empty()) {
        // The group's request has ended the body, and another request came later and was not
        // delivered. The later request leaves, with its reason.
        std::exception_ptr later = request_.take_pending();
        return {later != nullptr ? std::move(later) : std::move(cancellation)};
    }
    const bool body_failed = body_error_ != nullptr && !body_cancelled_;
    const bool has_errors = body_failed || !failed_.empty();
    // A request from outside may have been swallowed on the way:
    // - by the wait for the children, when the group was aborting already: `finish` has ignored it;
    // - by the body, together with the group's own request: both were delivered as one
    //   CancelledError.
    // In both cases it leaves here, as a CancelledError. A request that the body has swallowed
    // without any request of the group stays swallowed, as in Python: the program has decided so.
    const bool was_swallowed = request_.is_made() ? request_.asked_by_others()
                                                  : parent_.cancelling() > requests_at_finish_;
    if (!has_errors && was_swallowed && !parent_.must_cancel())
        return {parent_.take_cancellation()};
    if (!has_errors) return {nullptr, body_cancelled_};
    // Errors leave first, but a request from outside must still be delivered, at the next await.
    request_.renew_others();
    return {joined_errors()};
}

/// The errors of the children in the order in which they were reported, then that of the body,
/// unless it was a cancellation.
std::exception_ptr TaskGroup::joined_errors() {
    std::vector<std::exception_ptr> errors;
    failed_.for_each([&errors](internal::Resident& child) {
        errors.push_back(static_cast<Child&>(child).task->error());
    });
    if (body_error_ != nullptr && !body_cancelled_) errors.push_back(body_error_);
    return internal::joined_errors(std::move(errors), "unhandled errors in a TaskGroup",
                                   internal::SingleError::in_group);
}

}  // namespace asyncio
