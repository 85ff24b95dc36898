#pragma once
// Structured concurrency: tasks that cannot outlive the block that started them.

#include <asyncio/internal/body.h>
#include <asyncio/internal/completions.h>
#include <asyncio/task.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace asyncio {

class TaskGroup;

namespace internal {

/// A child that is being started: what `TaskGroup::start` waits for, and what the child tells.
class StartBase {
public:
    explicit StartBase(EventLoop& loop) noexcept : told(loop) {}
    StartBase(const StartBase&) = delete;
    StartBase& operator=(const StartBase&) = delete;
    virtual ~StartBase() = default;

    virtual void fail(std::exception_ptr error) noexcept = 0;

    /// Open when the child is ready or has ended.
    Gate told;
    /// `start` was cancelled: the child is the group's now, whatever becomes of it.
    bool abandoned = false;
};

template <class T>
class StartState final : public StartBase {
public:
    using StartBase::StartBase;
    void fail(std::exception_ptr error) noexcept override { outcome.fail(std::move(error)); }

    Outcome<T> outcome;
};

[[noreturn]] void throw_started_twice();
[[noreturn]] void throw_ended_unready();

template <class Body>
Coro<BodyResult<Body, TaskGroup>> task_group_scope(Body body);

}  // namespace internal

/// What a task started by `TaskGroup::start` is given, to say that it is ready. Copies are the
/// same.
/// Python: none in asyncio; `task_status` of trio and anyio.
template <class T = void>
class TaskStatus {
public:
    /// `start` returns, with this value; the task goes on. If `start` was cancelled meanwhile,
    /// nothing happens. Throws: RuntimeError if it was said before.
    template <class... Value>
        requires(sizeof...(Value) == (std::is_void_v<T> ? 0 : 1))
    void started(Value&&... value) const {
        if (!state_) internal::throw_empty("TaskStatus");
        if (state_->told.is_open()) internal::throw_started_twice();
        state_->outcome.emplace(std::forward<Value>(value)...);
        state_->told.open();
    }

private:
    friend TaskGroup;
    explicit TaskStatus(std::shared_ptr<internal::StartState<T>> state) noexcept
        : state_(std::move(state)) {}

    std::shared_ptr<internal::StartState<T>> state_;
};

/// The group inside `task_group`'s body. Only `task_group` makes one: it waits for the children.
///
/// Thread-safety: loop thread only. Python: `asyncio.TaskGroup`, and its `cancel()` of 3.15.
class TaskGroup {
public:
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup();

    /// Starts a child. Its error, other than CancelledError, cancels the body and its siblings, and
    /// leaves the group in an ExceptionGroup with all the others.
    /// Throws: RuntimeError if the group is over or shutting down; the coroutine is then destroyed
    /// without having run.
    template <class T>
    Task<T> create_task(Coro<T> coroutine, const TaskOptions& options = {}) {
        require_open();
        Task<T> task = loop_.create_task(std::move(coroutine), lazily(options));
        adopt(*static_cast<TaskRef>(task).core());
        start_now_if_eager(*static_cast<TaskRef>(task).core(), options);
        return task;
    }

    /// The same for a callable, which lives as long as its task; see the free `create_task`.
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

    /// Starts a child and waits until it says that it is ready: `const int port = co_await
    /// group.start<int>(serve)`, where `serve` takes a `TaskStatus<int>` and calls its `started`.
    ///
    /// The callable lives as long as the task. From `started` on the child is like any other.
    /// Returns the value given to `started`. Throws: what the child fails with before, which is
    /// then no error of the group's; RuntimeError if it ends without having been ready; as
    /// `create_task`.
    /// Cancellation: a child that is not ready is cancelled and waited for. One that has become
    /// ready in that moment is started, and the request is felt at the next wait.
    /// Lifetime: the name in `options` must live until the await returns.
    /// Python: none in asyncio; `start` of trio and anyio.
    template <class T = void, class Function>
        requires internal::CoroutineFunction<Function, TaskStatus<T>>
    auto start(Function&& function, const TaskOptions& options = {}) {
        internal::require_safe_closure<Function>();
        return start_child<T, std::decay_t<Function>>(std::forward<Function>(function), options);
    }

    /// Ends the group early and without an error: the children are cancelled, and so is the rest of
    /// the body.
    void cancel();

private:
    template <class Body>
    friend Coro<internal::BodyResult<Body, TaskGroup>> internal::task_group_scope(Body body);

    struct Child;
    class Rest;
    /// How a group ends: with an error; or, without one, as its body did, unless that was only the
    /// group's own doing.
    struct End {
        std::exception_ptr error;
        bool body_was_stopped_here = false;
    };

    TaskGroup();
    /// Waits for the children, when the body has ended. It is made before the body begins, so that
    /// the end needs no memory.
    Coro<End> finish();
    void body_ended(std::exception_ptr error, bool cancelled) noexcept {
        body_error_ = std::move(error);
        body_cancelled_ = cancelled;
    }
    static void child_done(internal::Ready& node) noexcept;
    static void ended_unready(internal::FutureBase& task, internal::StartBase& starting) noexcept;
    void require_open() const;
    /// The group must know a child before that runs: its first step may end the group.
    static TaskOptions lazily(TaskOptions options) noexcept {
        options.eager_start = false;
        return options;
    }
    void start_now_if_eager(internal::TaskCore& child, const TaskOptions& options) const noexcept {
        if (options.eager_start.value_or(loop_.get_eager_tasks())) child.start_eagerly();
    }
    /// Throws: RuntimeError outside the tasks of the group's loop.
    void require_own_task() const;
    void adopt(internal::TaskCore& core, std::shared_ptr<internal::StartBase> starting = nullptr);
    template <class T, class Function>
    Coro<T> start_child(Function function, TaskOptions options);
    Coro<Outcome<void>> wait_for_start(const TaskRef& child, internal::StartBase& state);
    void child_failed() noexcept;
    void abort();
    void interrupt_parent();
    End conclude(std::exception_ptr cancellation);
    std::exception_ptr joined_errors();

    internal::TaskCore& parent_;
    EventLoop& loop_;
    /// The one under which the group began.
    const internal::CancelMask* mask_;
    /// Requests to cancel the parent that were there before; one that was pending is not counted.
    std::int64_t requests_at_entry_;
    /// Those that were there when the body had ended, without our own.
    std::int64_t requests_at_finish_ = 0;
    internal::IntrusiveList<internal::Resident> children_;
    /// Children that have ended with an error, in that order. They keep it: to note that one has
    /// failed needs no memory.
    internal::IntrusiveList<internal::Resident> failed_;
    /// How the body has ended.
    std::exception_ptr body_error_;
    bool body_cancelled_ = false;
    /// The parent, while it waits for the children after the body.
    internal::TaskCore* waiting_ = nullptr;
    bool exiting_ = false;
    /// Children have been told to end; no new ones are taken.
    bool aborting_ = false;
    /// The group has made a request to cancel its parent, and owes an `uncancel`.
    bool parent_interrupted_ = false;
};

template <class T, class Function>
Coro<T> TaskGroup::start_child(Function function, TaskOptions options) {
    require_own_task();
    require_open();
    auto state = std::make_shared<internal::StartState<T>>(loop_);
    TaskRef child;
    // Made before the child is: nothing may fail between its start and the wait for it.
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
        internal::throw_ended_unready();
    }
    if constexpr (std::is_void_v<T>) {
        co_await internal::LeaveWith{state->outcome};
        co_return;
    } else {
        co_return std::move(state->outcome);
    }
}

namespace internal {

[[noreturn]] void throw_group_stopped();

template <class Body>
Coro<BodyResult<Body, TaskGroup>> task_group_scope(Body body) {
    using T = BodyResult<Body, TaskGroup>;
    TaskGroup group;
    Coro<TaskGroup::End> finish = group.finish();
    Outcome<T> outcome = co_await settled_body(body, group);
    group.body_ended(outcome.error(), outcome.cancelled());
    TaskGroup::End end = co_await std::move(finish);
    if (end.error != nullptr) outcome.fail(std::move(end.error));
    if constexpr (std::is_void_v<T>) {
        if (end.body_was_stopped_here) outcome.emplace();
        co_await LeaveWith{outcome};
        co_return;
    } else {
        if (end.body_was_stopped_here) throw_group_stopped();
        co_return std::move(outcome);
    }
}

}  // namespace internal

/// Runs `body` with a group of tasks, and returns when the body and every task in the group have
/// ended: `co_await task_group([&](TaskGroup& group) -> Coro<> { group.create_task(…); … })`.
///
/// The first error of a child cancels the body and the other children; the cancelled are waited
/// for.
/// Returns what the body returns. Throws: ExceptionGroup with every error of the body and the
/// children, cancellations not among them; RuntimeError if `TaskGroup::cancel` stopped a body that
/// had a value to return.
/// Cancellation: cancels body and children, waits for them, and leaves as CancelledError, unless
/// there are errors.
/// Lifetime: capture by reference, `[&]`; the closure lives until the await returns.
/// Python: `async with asyncio.TaskGroup() as group:`.
template <class Body>
auto task_group(Body&& body) {
    internal::require_safe_closure<Body>();
    return internal::task_group_scope<std::decay_t<Body>>(std::forward<Body>(body));
}

}  // namespace asyncio
