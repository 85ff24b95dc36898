#pragma once
// Structured concurrency: tasks that cannot outlive the block that started them.
//
// A group is a scope: `co_await task_group(body)` returns when the body and all children have
// ended, however each of them ended. The body is a closure and not the code between two statements,
// because the end of the scope has to wait and a destructor cannot. Only this function makes a
// `TaskGroup`, so a group without a wait at its end does not exist.
//
// How an error spreads. The first child that fails aborts the group: the other children are
// cancelled, and the body is cancelled by a request to the task that runs it (the *parent*). Every
// error is kept, and all of them leave together in one ExceptionGroup. A child that ends as
// cancelled is not an error, since cancelling a child is a normal thing to do.
//
// How the group knows its own request. The parent counts requests (`cancelling()`), and the group
// notes the count at its beginning and whether it has made a request itself. At the end the group
// takes its own request back (`uncancel`). If the count is then zero, the CancelledError in the
// body was the group's doing and does not leave. If it is not zero, the program asked as well, and
// the cancellation leaves. If there are errors, they leave first, and the request of the program is
// renewed, so that the next await of the parent throws it. This is CPython's order.
//
// How the group waits. Each child has a node in the group's list, which is also a waiter of the
// child's future. The node of the last child wakes the parent. A request to cancel the parent
// during this wait is handed to the children, and the wait continues.
//
// Memory. A scope that has begun must be able to end without memory. So the coroutine that waits
// for the children is made before the body begins, a child's node is made before the child runs,
// and a child that has failed is noted by moving its node to another list. Only the ExceptionGroup
// itself allocates.
//
// A group waits for its children, and a child may wait for the task of its own group. The two make
// a circle of waits. A request to cancel breaks it: the walk of the request knows that the parent
// waits for its children (`CancelWalk::ask_for`).
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/body.h>
#include <asyncio/internal/core/own_request.h>
#include <asyncio/internal/scopes/gate.h>
#include <asyncio/lowlevel/line.h>
#include <asyncio/task.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace asyncio {

class TaskGroup;

namespace internal {

/// The state between `TaskGroup::start`, which waits, and the child, which says when it is ready.
class StartBase {
public:
    StartBase() noexcept = default;
    StartBase(const StartBase&) = delete;
    StartBase& operator=(const StartBase&) = delete;
    virtual ~StartBase() = default;

    /// The child has ended with `error` before it was ready.
    virtual void fail(std::exception_ptr error) noexcept = 0;

    /// Open when the child is ready or has ended.
    Gate told;
    /// `start` was cancelled. From then on an error of the child belongs to the group, like that of
    /// any child.
    bool abandoned = false;
};

template <class T>
/// Adds the value that the child gives when it is ready.
class StartState final : public StartBase {
public:
    void fail(std::exception_ptr error) noexcept override { outcome.fail(std::move(error)); }

    Outcome<T> outcome;
};

template <class Body>
Coro<BodyResult<Body, TaskGroup>> task_group_scope(Body body);

}  // namespace internal

/// The argument of a task that `TaskGroup::start` starts. The task calls `started` on it when it is
/// ready. Copies refer to the same start.
/// Python: none in asyncio; `task_status` of trio and anyio.
template <class T = void>
class TaskStatus {
public:
    /// Lets `start` return with `value`; the task continues. Has no effect if `start` was cancelled
    /// in the meantime. Throws: RuntimeError if it was called before.
    template <class... Value>
        requires(sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    void started(Value&&... value) const {
        if (!state_) internal::throw_empty("TaskStatus");
        if (state_->told.is_open())
            internal::throw_runtime_error("TaskStatus::started() was called twice");
        state_->outcome.emplace(std::forward<Value>(value)...);
        state_->told.open();
    }

private:
    friend TaskGroup;
    explicit TaskStatus(std::shared_ptr<internal::StartState<T>> state) noexcept
        : state_(std::move(state)) {}

    std::shared_ptr<internal::StartState<T>> state_;
};

/// The group, as the body of `task_group` sees it. It can be used until the body and all children
/// have ended, also by the children.
///
/// Thread-safety: loop thread only. Python: `asyncio.TaskGroup`, and its `cancel()` of 3.15.
class TaskGroup {
public:
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup();

    /// Starts a child. If the child ends with an error other than CancelledError, the body and the
    /// other children are cancelled, and the error leaves the group in an ExceptionGroup together
    /// with all other errors.
    /// Throws: RuntimeError if the group is over or shutting down; the coroutine is destroyed then,
    /// and never runs.
    template <class T>
    Task<T> create_task(Coro<T> coroutine, const TaskOptions& options = {}) {
        require_open();
        Task<T> task = loop_.create_task(std::move(coroutine), lazily(options));
        adopt(*static_cast<TaskRef>(task).core());
        start_now_if_eager(*static_cast<TaskRef>(task).core(), options);
        return task;
    }

    /// The same for a callable, which is kept until its task has ended; see the free function
    /// `create_task`.
    template <class Function>
        requires internal::CoroutineFunction<Function>
    auto create_task(Function&& function, const TaskOptions& options = {}) {
        internal::require_safe_closure<Function>();
        return create_task(
            internal::keep_and_call<std::decay_t<Function>>(std::forward<Function>(function)),
            options);
    }

    /// The same for anything else that can be awaited: `group.create_task(event.wait())`.
    template <class Given>
        requires(internal::Awaitable<Given> && !internal::is_coro<std::decay_t<Given>>)
    auto create_task(Given&& awaitable, const TaskOptions& options = {}) {
        return create_task(internal::coroutine_of(std::forward<Given>(awaitable)), options);
    }

    /// Starts a child and waits until the child says that it is ready:
    /// `const int port = co_await group.start<int>(serve)`. `serve` takes a `TaskStatus<int>` and
    /// calls its `started`.
    ///
    /// The callable is kept until the task has ended. After `started` the child is like any other
    /// child.
    /// Returns the value given to `started`.
    /// Throws: the error with which the child ends before it is ready (the group does not count
    /// that as an error of its own); RuntimeError if the child ends without an error before it is
    /// ready; as `create_task`.
    /// Cancellation: a child that is not ready is cancelled and waited for. If the child has just
    /// become ready, `start` returns its value, and the request stays pending until the next await
    /// that waits.
    /// Lifetime: the name in `options` must live until the await returns.
    /// Python: none in asyncio; `start` of trio and anyio.
    template <class T = void, class Function>
        requires internal::CoroutineFunction<Function, TaskStatus<T>>
    auto start(Function&& function, const TaskOptions& options = {}) {
        internal::require_safe_closure<Function>();
        return start_child<T, std::decay_t<Function>>(std::forward<Function>(function), options);
    }

    /// Ends the group early and without an error: cancels the children and the rest of the body.
    /// May be called from the body or from a child.
    void cancel();

private:
    template <class Body>
    friend Coro<internal::BodyResult<Body, TaskGroup>> internal::task_group_scope(Body body);

    /// A child's node, and the awaiter of the wait for the children.
    struct Child;
    class Rest;
    /// How a group ends. With an error, if `error` is not null. Otherwise as its body ended, unless
    /// only the group itself has cancelled the body (`body_was_stopped_here`).
    struct End {
        std::exception_ptr error;
        bool body_was_stopped_here = false;
    };

    TaskGroup();
    /// Waits for the children when the body has ended. Made before the body begins, so that the end
    /// of the scope needs no memory.
    Coro<End> finish();
    /// Notes how the body has ended. Called between the body and `finish`.
    void body_ended(std::exception_ptr error, bool cancelled) noexcept {
        body_error_ = std::move(error);
        body_cancelled_ = cancelled;
    }
    /// The node of a child that has ended: runs one iteration after the end.
    static void child_done(internal::Ready& node) noexcept;
    /// A child has ended before it was ready. Its error goes to the task that waits in `start`.
    static void ended_unready(internal::FutureBase& task, internal::StartBase& starting) noexcept;
    /// Throws: RuntimeError if no more children are taken.
    void require_open() const;
    /// Takes eager starting out of `options`. The group must have a child in its list before the
    /// child runs, because the first step of the child may end the group; `start_now_if_eager`
    /// follows after that.
    static TaskOptions lazily(TaskOptions options) noexcept {
        options.eager_start = false;
        return options;
    }
    void start_now_if_eager(internal::TaskCore& child, const TaskOptions& options) const noexcept {
        if (options.eager_start.value_or(loop_.get_eager_tasks())) child.start_eagerly();
    }
    /// Throws: RuntimeError outside the tasks of the group's loop.
    void require_own_task() const;
    /// Puts a new task into the list of children. Without memory for its node, the task is
    /// discarded before it runs.
    void adopt(internal::TaskCore& core, std::shared_ptr<internal::StartBase> starting = nullptr);
    template <class T, class Function>
    Coro<T> start_child(Function function, TaskOptions options);
    /// Waits until `child` is ready or has ended; when cancelled, ends the child first.
    Coro<Outcome<void>> wait_for_start(const TaskRef& child, internal::StartBase& state);
    /// A child has failed: aborts the group, once.
    void child_failed() noexcept;
    /// Cancels all children. No new ones are taken after that.
    void abort();
    /// The body and all children have ended: decides how the scope ends. `cancellation` is what the
    /// body or the wait for the children has received.
    End conclude(std::exception_ptr cancellation);
    /// All errors in one ExceptionGroup.
    std::exception_ptr joined_errors();

    /// The task that runs the body.
    internal::TaskCore& parent_;
    EventLoop& loop_;
    /// The request to cancel the parent, which the group takes back at its end.
    internal::OwnRequest request_;
    /// The parent's count of requests when the body had ended. Used only if the group itself has
    /// made no request.
    std::uint32_t requests_at_finish_ = 0;
    /// The children that have not ended.
    internal::IntrusiveList<internal::Resident> children_;
    /// The children that have ended with an error, in the order of their ends. The error stays in
    /// the child's future, so noting it needs no memory.
    internal::IntrusiveList<internal::Resident> failed_;
    /// The error or the CancelledError with which the body has ended; null if it returned.
    std::exception_ptr body_error_;
    bool body_cancelled_ = false;
    /// The parent, while it waits for the children after the body.
    lowlevel::Line at_the_end_;
    /// The body has ended.
    bool exiting_ = false;
    /// The children have been cancelled; no new ones are taken.
    bool aborting_ = false;
};

template <class T, class Function>
Coro<T> TaskGroup::start_child(Function function, TaskOptions options) {
    require_own_task();
    require_open();
    auto state = std::make_shared<internal::StartState<T>>();
    TaskRef child;
    // Made before the child: nothing may fail between the start of the child and the wait for it.
    Coro<Outcome<void>> wait = wait_for_start(child, *state);
    child = loop_.create_task(
        internal::keep_and_call<Function>(std::move(function), TaskStatus<T>(state)),
        lazily(options));
    adopt(*child.core(), state);
    start_now_if_eager(*child.core(), options);
    Outcome<void> waited = co_await std::move(wait);
    if (waited.failed()) {
        state->outcome.fail(waited.error());
    } else if (state->outcome.empty()) {
        internal::throw_runtime_error("the task ended before it called TaskStatus::started()");
    }
    co_return co_await internal::leave_with(state->outcome);
}

namespace internal {

template <class Body>
Coro<BodyResult<Body, TaskGroup>> task_group_scope(Body body) {
    using T = BodyResult<Body, TaskGroup>;
    TaskGroup group;
    Coro<TaskGroup::End> finish = group.finish();
    Outcome<T> outcome = co_await settled_body(body, group);
    group.body_ended(outcome.error(), outcome.cancelled());
    TaskGroup::End end = co_await std::move(finish);
    if (end.error != nullptr) outcome.fail(std::move(end.error));
    if (end.body_was_stopped_here) {
        if constexpr (std::is_void_v<T>) {
            outcome.emplace();
        } else {
            throw_runtime_error("the task group was cancelled before its body returned a value");
        }
    }
    co_return co_await leave_with(outcome);
}

}  // namespace internal

namespace no_adl {

/// Runs `body` with a group of tasks, and returns when the body and every task of the group have
/// ended: `co_await task_group([&](TaskGroup& group) -> Coro<> { group.create_task(…); … })`.
///
/// The first error of a child cancels the body and the other children. The group waits until they
/// have ended.
/// Returns the value of the body.
/// Throws: ExceptionGroup with every error of the body and of the children, without cancellations;
/// RuntimeError if `TaskGroup::cancel` stopped a body that should have returned a value.
/// Cancellation: cancels the body and the children, waits for them, and then throws CancelledError,
/// or the ExceptionGroup if there are errors.
/// Lifetime: capture by reference, `[&]`; the closure lives until the await returns.
/// Python: `async with asyncio.TaskGroup() as group:`.
template <class Body>
auto task_group(Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::task_group_scope<std::decay_t<Body>>(std::forward<Body>(body));
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
