#pragma once
// `Task<T>`: a coroutine that the loop runs beside others, and the future of its result.
//
// The loop holds every task until it has ended; dropping the handle makes it a background task and
// loses nothing.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/future.h>
#include <asyncio/internal/awaitable.h>
#include <asyncio/internal/body.h>
#include <asyncio/internal/task_core.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

class Context;

struct TaskOptions {
    /// Copied. Empty: "Task-" and a number.
    std::string_view name = {};
    /// The context the task runs in, and shares with whoever else has it. Null: a copy of its
    /// creator's.
    const Context* context = nullptr;
    /// Runs the task up to its first wait before `create_task` returns. Nothing: as
    /// `EventLoop::set_eager_tasks` says. Python: `eager_start`.
    std::optional<bool> eager_start = std::nullopt;
};
static_assert(std::is_trivially_destructible_v<TaskOptions>);

namespace internal {

template <class T>
class TaskState final : public FutureState<T>, public TaskCore {
public:
    /// Takes the coroutine over when nothing can fail any more.
    TaskState(EventLoop& loop, Coro<T>& coroutine, const TaskOptions& options)
        : FutureState<T>(loop),
          TaskCore(loop, coroutine.frame(), options),
          coroutine_(coroutine.release()) {
        this->retain();  // the loop's, until the task has ended
    }
    ~TaskState() override {
        if (this->unretrieved()) [[unlikely]] {
            // The handler is to see what the task saw.
            ContextRef* const outer = std::exchange(here.context, &this->context());
            this->report_unretrieved("a task's exception was never retrieved",
                                     TaskCore::name_or_nothing());
            here.context = outer;
        }
    }

    FutureBase& future() noexcept override { return *this; }
    bool cancel(std::string_view message) override { return TaskCore::cancel(message); }
    CancelRelay* relay() noexcept override { return this; }

private:
    void complete() noexcept override {
        using End = FutureBase::Status;
        take_result();
        if (ends_cancelled() && !this->outcome_.failed()) [[unlikely]]
            this->outcome_.fail(take_cancellation());
        coroutine_.destroy();
        FutureBase::complete(!this->outcome_.failed()     ? End::succeeded
                             : this->outcome_.cancelled() ? End::cancelled
                                                          : End::failed);
    }
    /// An error while the result moves in becomes the result.
    void take_result() noexcept {
        Outcome<T>& result = coroutine_.promise().outcome;
        if constexpr (std::is_nothrow_move_assignable_v<Outcome<T>>) {
            this->outcome_ = std::move(result);
        } else {
            try {
                this->outcome_ = std::move(result);
            } catch (...) {
                this->outcome_.fail(std::current_exception());
            }
        }
    }
    void complete_unstarted() noexcept override {
        coroutine_.destroy();
        this->outcome_.fail(take_cancellation());
        FutureBase::complete(FutureBase::Status::cancelled);
    }

    std::coroutine_handle<Promise<T>> coroutine_;
};

}  // namespace internal

/// A task whatever it returns, for lists and for the task that is running. Empty if there is none;
/// an empty one is false, and throws RuntimeError when it is used.
class TaskRef : public FutureRef {
public:
    TaskRef() noexcept = default;
    explicit TaskRef(internal::TaskCore* core) noexcept;

    std::string get_name() const { return existing_core().name(); }
    void set_name(std::string_view name) const { existing_core().set_name(name); }

    /// The context the task runs in. Defined in context.h.
    Context get_context() const;

    /// As `Task`'s.
    bool cancel(std::string_view message = {}) const { return existing_core().cancel(message); }
    std::size_t cancelling() const { return existing_core().cancelling(); }
    std::size_t uncancel() const { return existing_core().uncancel(); }
    template <class Callback>
        requires internal::DoneCallable<Callback, TaskRef>
    auto add_done_callback(Callback&& callback) const {
        return internal::register_done_callback(
            existing(), std::forward<Callback>(callback),
            [core = core_](internal::FutureBase&) { return TaskRef(core); });
    }

    internal::TaskCore* core() const noexcept { return state_ ? core_ : nullptr; }

private:
    internal::TaskCore& existing_core() const {
        existing();
        return *core_;
    }

    /// Valid as long as there is a future: they are one object.
    internal::TaskCore* core_ = nullptr;
};

/// Made by `create_task`.
///
/// Python: `asyncio.Task`. Differences: the loop's reference is strong.
template <class T = void>
class Task : public internal::FutureHandle<T> {
public:
    Task() noexcept = default;
    explicit Task(internal::Ref<internal::FutureState<T>> state, internal::TaskCore& core) noexcept
        : internal::FutureHandle<T>(std::move(state)), core_(&core) {}

    /// "Task-N" unless one was given.
    std::string get_name() const { return existing_core().name(); }
    void set_name(std::string_view name) const { existing_core().set_name(name); }

    /// The context the task runs in. Defined in context.h.
    Context get_context() const;

    /// How many calls of `cancel()` nobody has taken back.
    std::size_t cancelling() const { return existing_core().cancelling(); }
    /// Takes one call of `cancel()` back; returns how many are left. At zero, a request not yet
    /// delivered is withdrawn.
    std::size_t uncancel() const { return existing_core().uncancel(); }

    /// As that of `Future`; the callback is given the task.
    template <class Callback>
        requires internal::DoneCallable<Callback, Task, Future<T>>
    auto add_done_callback(Callback&& callback) const {
        using Plain = std::decay_t<Callback>;
        if constexpr (std::disjunction_v<std::is_invocable<Plain&, Task>,
                                         std::negation<std::is_invocable<Plain&, Future<T>>>>) {
            return internal::register_done_callback(
                this->existing(), std::forward<Callback>(callback),
                [core = core_](internal::FutureBase& future) {
                    return Task(internal::Ref<internal::FutureState<T>>::share(
                                    static_cast<internal::FutureState<T>*>(&future)),
                                *core);
                });
        } else {
            return internal::FutureHandle<T>::add_done_callback(std::forward<Callback>(callback));
        }
    }

    operator TaskRef() const { return TaskRef(this->state_ ? core_ : nullptr); }

private:
    internal::TaskCore& existing_core() const {
        this->existing();
        return *core_;
    }

    /// Valid as long as the future is: they are one object.
    internal::TaskCore* core_ = nullptr;
};

template <class T>
Task<T> EventLoop::create_task(Coro<T> coroutine, const TaskOptions& options) {
    check_open("create_task()");
    check_thread();
    auto* state = new internal::TaskState<T>(*this, coroutine, options);
    if (options.eager_start.value_or(eager_tasks_)) [[unlikely]]
        state->start_eagerly();
    return Task<T>(internal::Ref<internal::FutureState<T>>::adopt(state), *state);
}

template <class T>
Task<T> EventLoop::create_task(Coro<T> coroutine) {
    return create_task(std::move(coroutine), {});
}

/// Schedules `coroutine` as a task of the running loop. Its first step runs in the next iteration,
/// or now if it is to start eagerly: a task that never waits is then done when this returns.
///
/// Throws: RuntimeError if no loop runs on this thread.
/// Python: `asyncio.create_task`.
template <class T>
Task<T> create_task(Coro<T> coroutine, const TaskOptions& options = {}) {
    return internal::running_loop("asyncio::create_task()")
        .create_task(std::move(coroutine), options);
}

/// Schedules `function()` as a task, and keeps `function` until the task has ended: so a lambda
/// that is a coroutine may capture. `create_task([text]() -> Coro<> { … })`.
///
/// What it captures by reference must live as long. g++ before 13 destroys a temporary closure
/// twice that captures a value with a destructor, and is made to refuse it: give the closure a
/// name.
template <class Function>
    requires internal::CoroutineFunction<Function>
auto create_task(Function&& function, const TaskOptions& options = {}) {
    internal::require_safe_closure<Function>();
    return create_task(
        internal::keep_and_call<std::decay_t<Function>>(std::forward<Function>(function)), options);
}

namespace internal {

/// Makes a coroutine of what can be awaited but is none.
template <class Given>
Coro<AwaitResult<Given>> as_coroutine(Given awaitable) {
    co_return co_await std::move(awaitable);
}

/// What a task can be made of: whatever can be awaited, and a function that returns a coroutine.
template <class Given>
concept Startable = Awaitable<Given> || CoroutineFunction<Given>;

/// The coroutine that a task runs.
template <class Given>
auto coroutine_of(Given&& given) {
    using Plain = std::decay_t<Given>;
    if constexpr (is_coro<Plain>) {
        static_assert(!std::is_lvalue_reference_v<Given>,
                      "a Coro is awaited once: hand it over with std::move");
        return Plain(std::forward<Given>(given));
    } else if constexpr (CoroutineFunction<Given>) {
        return keep_and_call<Plain>(std::forward<Given>(given));
    } else {
        return as_coroutine<Plain>(std::forward<Given>(given));
    }
}

}  // namespace internal

template <class Given>
auto EventLoop::create_task(Given&& given, const TaskOptions& options) {
    if constexpr (internal::CoroutineFunction<Given>) internal::require_safe_closure<Given>();
    return create_task(internal::coroutine_of(std::forward<Given>(given)), options);
}

template <class Given>
auto EventLoop::create_task(Given&& given) {
    return create_task(std::forward<Given>(given), {});
}

/// Schedules what can be awaited and is no coroutine: `create_task(sleep(1s))`,
/// `create_task(event.wait())`, `create_task(queue.get())`. The task gives what the await gives.
///
/// What the awaitable refers to, the event or queue, must live until the task has ended.
/// Python: refuses what is no coroutine.
template <class Given>
    requires(internal::Awaitable<Given> && !internal::is_coro<std::decay_t<Given>>)
auto create_task(Given&& awaitable, const TaskOptions& options = {}) {
    return internal::running_loop("asyncio::create_task()")
        .create_task(std::forward<Given>(awaitable), options);
}

/// The task whose code this is; empty in a callback and outside a loop.
/// Python: `asyncio.current_task`.
TaskRef current_task() noexcept;

/// The tasks of the loop that have not ended, in the order of their creation.
/// Python: `asyncio.all_tasks`.
std::vector<TaskRef> all_tasks();
std::vector<TaskRef> all_tasks(EventLoop& loop);

/// What each task of the loop waits for, and where: a line for the task, and one for each of its
/// frames with file, line and function, innermost first. As DeadlockError shows it.
/// Python: `asyncio.capture_call_graph`, `Task.get_stack`.
std::string format_tasks(EventLoop& loop = get_running_loop());
/// The same, to standard error. In debug mode SIGQUIT (Ctrl-\) does this while `run` runs.
/// Python: `asyncio.print_call_graph`, `Task.print_stack`.
void print_tasks(EventLoop& loop = get_running_loop());

namespace internal {

template <class Handle>
concept FutureLike = requires(const std::remove_cvref_t<Handle>& handle) {
    typename std::remove_cvref_t<Handle>::value_type;
    {
        handle.state()
    } -> std::same_as<const Ref<FutureState<typename std::remove_cvref_t<Handle>::value_type>>&>;
};

/// Throws: RuntimeError if the handle refers to nothing.
template <class Handle>
void require_existing(const Handle& handle) {
    if (!handle) [[unlikely]]
        throw_empty("Future or Task");
}

template <class Given>
auto ensure_future_on(EventLoop& loop, Given&& awaitable) {
    using Plain = std::remove_cvref_t<Given>;
    if constexpr (FutureLike<Plain>) {
        if (&awaitable.get_loop() != &loop)
            throw std::invalid_argument("the future belongs to another event loop");
        return Plain(std::forward<Given>(awaitable));
    } else {
        return loop.create_task(coroutine_of(std::forward<Given>(awaitable)), {});
    }
}

}  // namespace internal

/// A Task or Future as it is; anything else that can be awaited, as a new task.
///
/// While no loop runs, the thread's current one (`set_event_loop`) gets the task, and begins with
/// it when it runs.
/// Throws: RuntimeError if there is neither; `std::invalid_argument` for a future of another loop.
/// Python: `asyncio.ensure_future`.
template <class Awaitable>
auto ensure_future(Awaitable&& awaitable) {
    return internal::ensure_future_on(internal::running_or_current_loop("asyncio::ensure_future()"),
                                      std::forward<Awaitable>(awaitable));
}
/// On a loop that need not run yet. Python: the `loop` argument.
template <class Awaitable>
auto ensure_future(Awaitable&& awaitable, EventLoop& loop) {
    return internal::ensure_future_on(loop, std::forward<Awaitable>(awaitable));
}

namespace internal {

/// The part of `run_until_complete` that does not depend on the type.
void run_until_done(EventLoop& loop, FutureBase& future);

}  // namespace internal

template <class Awaitable>
decltype(auto) EventLoop::run_until_complete(Awaitable&& awaitable) {
    check_can_run();
    auto future = internal::ensure_future_on(*this, std::forward<Awaitable>(awaitable));
    internal::run_until_done(*this, *future.state());
    using Value = typename decltype(future)::value_type;
    if constexpr (internal::FutureLike<Awaitable> && copyable_result<internal::Stored<Value>>) {
        return static_cast<Value>(future.result());
    } else {
        return static_cast<Value>(std::move(*future.state()).take().value());
    }
}

}  // namespace asyncio

template <class T>
struct std::hash<asyncio::Task<T>> {
    std::size_t operator()(const asyncio::Task<T>& task) const noexcept {
        return std::hash<const void*>()(task.state().get());
    }
};
template <>
struct std::hash<asyncio::TaskRef> {
    std::size_t operator()(const asyncio::TaskRef& task) const noexcept {
        return std::hash<asyncio::FutureRef>()(task);
    }
};
