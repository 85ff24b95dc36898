#pragma once
// `Task<T>`: a coroutine that the loop runs beside others, and the future of its result.
//
// A task is one object with two base classes. `FutureState<T>` is the part that other tasks use: a
// result that is not there yet, and the list of waiters. `TaskCore` is the part that the loop uses:
// a node of the ready queue, the coroutine at which the task stands, and the bookkeeping of its
// cancellation. Python has the same inheritance (`Task` is a `Future`). A single object means one
// allocation and one reference count, and everything that takes a future also takes a task.
//
// Ownership. The task owns the frame of its outermost coroutine. The frame owns the coroutine that
// it awaits, and so on, down to the awaiter at which the task is parked. Two kinds of references
// keep the task object alive. The loop holds one from the creation of the task until its end, and
// every handle (`Task`, `TaskRef`, an awaiting task) holds one. So a program may drop the handle:
// the task continues in the background and loses nothing. CPython's loop holds its tasks weakly
// there, and a task without a handle can vanish in the middle.
//
// The end. When the outermost coroutine has ended, the task moves the result from the coroutine's
// promise into the future, destroys the frame, and then completes the future. The order matters.
// Destructors of arguments run while `current_task()` still names this task. When the waiters
// resume, one iteration later, everything that the frame held has been released. The result is not
// written into the future directly, because a `Coro` does not know whether a task or another
// coroutine will run it.
//
// Errors. The error of a task stays in the future until the program asks for it: by an await, by
// `result()`, or by `exception()`. If the program never asks, the destructor of the task reports
// the error to the loop's exception handler. The destructor runs when the last reference is
// dropped. So the moment is known: there is no garbage collector that does it later.
//
// Cancellation before the first step. The coroutine never runs; the frame and its arguments are
// destroyed, and the future ends as cancelled. Only the destructors of the arguments run. An object
// that has to be released in any case is therefore passed as an argument.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/future.h>
#include <asyncio/internal/core/awaitable.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/internal/core/foreign.h>
#include <asyncio/internal/core/task_core.h>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

class Context;

/// How `create_task` makes a task. The struct holds views and numbers only, because g++ 12 would
/// destroy a temporary with a destructor twice in an expression with `co_await`.
struct TaskOptions {
    /// The task's name in reports. It is copied. Empty: "Task-" and a number that no other task of
    /// the process has.
    std::string_view name = {};
    /// The context in which the task runs. The task shares it with every other user of that
    /// context. Null: a copy of the creator's context.
    const Context* context = nullptr;
    /// Whether the task runs up to its first wait before `create_task` returns. Without a value,
    /// `EventLoop::set_eager_tasks` decides. Python: `eager_start`.
    std::optional<bool> eager_start = std::nullopt;
};
static_assert(std::is_trivially_destructible_v<TaskOptions>);

namespace internal {

template <class T>
/// The task itself. The type T matters only for the result; everything else is in the two bases.
class TaskState final : public FutureState<T>, public TaskCore {
public:
    /// Takes the coroutine over. `coroutine_` is the last member to be initialised, so a base that
    /// throws (no memory for the name, for example) leaves the coroutine with the caller.
    TaskState(EventLoop& loop, Coro<T>& coroutine, const TaskOptions& options)
        : FutureState<T>(loop),
          TaskCore(loop, coroutine.frame(), options),
          coroutine_(coroutine.release()) {
        this->retain();  // the loop's, until the task has ended
    }
    ~TaskState() override {
        if (this->unretrieved()) [[unlikely]] {
            // The exception handler runs in the task's context, so it sees the context variables
            // that the task saw. A log line can then carry the number of the request, for example.
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
    /// The coroutine has ended. A task that cancelled itself and then ended without another wait
    /// ends as cancelled, as in Python. An error that the coroutine threw takes precedence over
    /// that.
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
    /// Moves the result out of the coroutine's promise. If the move constructor of T throws, that
    /// error is the result of the task. Types that cannot throw get no handler, since a handler in
    /// every task would cost code.
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
    /// The task was cancelled before its first step, so the promise holds no result.
    void complete_unstarted() noexcept override {
        coroutine_.destroy();
        this->outcome_.fail(take_cancellation());
        FutureBase::complete(FutureBase::Status::cancelled);
    }

    /// The outermost frame. The task owns it, and destroys it when it has ended.
    std::coroutine_handle<Promise<T>> coroutine_;
};

}  // namespace internal

/// A handle to a task of any result type, for lists of tasks and for the task that is running. A
/// `TaskRef` that refers to no task is false, and throws RuntimeError when it is used.
class TaskRef : public FutureRef {
public:
    /// Refers to no task.
    TaskRef() noexcept = default;
    /// For the library. Takes a new reference to the task; `core` may be null.
    explicit TaskRef(internal::TaskCore* core) noexcept;

    std::string get_name() const { return existing_core().name(); }
    void set_name(std::string_view name) const { existing_core().set_name(name); }

    /// The context the task runs in. Defined in context.h.
    Context get_context() const;

    // As the functions of `Task` with the same names.

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

    /// For the library. Null if this refers to no task.
    internal::TaskCore* core() const noexcept { return state_ ? core_ : nullptr; }

private:
    internal::TaskCore& existing_core() const {
        existing();
        return *core_;
    }

    /// Points into the object that `state_` keeps alive: the task and its future are one object.
    internal::TaskCore* core_ = nullptr;
};

/// The handle of a task. `create_task` makes it.
///
/// Awaiting the handle gives the result. `co_await task` gives a reference and leaves the result in
/// place for others; `co_await std::move(task)` gives the value itself. Copies of the handle refer
/// to the same task, and dropping all of them does not end the task.
///
/// Cancellation: cancelling a task that awaits this one cancels this one, too. `shield` prevents
/// that.
/// Python: `asyncio.Task`. Differences: the loop holds its tasks by a strong reference.
template <class T = void>
class Task : public internal::FutureHandle<T> {
public:
    Task() noexcept = default;
    explicit Task(internal::Ref<internal::FutureState<T>> state, internal::TaskCore& core) noexcept
        : internal::FutureHandle<T>(std::move(state)), core_(&core) {}

    /// The name from the options or from `set_name`; "Task-N" if there was none.
    std::string get_name() const { return existing_core().name(); }
    /// Changes the name. The text is copied.
    void set_name(std::string_view name) const { existing_core().set_name(name); }

    /// The context the task runs in. Defined in context.h.
    Context get_context() const;

    /// The number of `cancel()` calls that have not been taken back by `uncancel()`. Scopes like
    /// `timeout` compare it with the number at their beginning: so they tell their own request from
    /// a request of others.
    std::size_t cancelling() const { return existing_core().cancelling(); }
    /// Takes one call of `cancel()` back. Returns how many are left. When none is left, a request
    /// that has not been delivered yet is withdrawn: the task does not see it.
    std::size_t uncancel() const { return existing_core().uncancel(); }

    /// As `Future::add_done_callback`, but the callback is given the task. A callback that accepts
    /// only a `Future<T>` is given that.
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

    /// Implicit, so that tasks of different types can stand in one list.
    operator TaskRef() const { return TaskRef(this->state_ ? core_ : nullptr); }

private:
    internal::TaskCore& existing_core() const {
        this->existing();
        return *core_;
    }

    /// Points into the object that the handle's state keeps alive.
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

namespace no_adl {

/// Schedules `coroutine` as a task of the running loop. The first step of the task runs in the next
/// iteration. A task that starts eagerly runs its first step inside this call; if it never waits,
/// it is done when this call returns.
///
/// Throws: RuntimeError if no loop runs on this thread.
/// Python: `asyncio.create_task`.
template <class T>
Task<T> create_task(Coro<T> coroutine, const TaskOptions& options = {}) {
    return internal::running_loop("asyncio::create_task()")
        .create_task(std::move(coroutine), options);
}

/// Schedules `function()` as a task, and keeps `function` until the task has ended:
/// `create_task([text]() -> Coro<> { … })`. A coroutine that is a lambda refers to its closure, so
/// the closure has to live as long as the coroutine. Here it does.
///
/// g++ before 13 destroys a temporary closure twice if it captures a value with a destructor. The
/// library refuses to compile such a call: give the closure a name, and pass the name.
/// Lifetime: what the closure captures by reference must live until the task has ended.
template <class Function>
    requires internal::CoroutineFunction<Function>
auto create_task(Function&& function, const TaskOptions& options = {}) {
    internal::require_safe_closure<Function>();
    return create_task(
        internal::keep_and_call<std::decay_t<Function>>(std::forward<Function>(function)), options);
}

}  // namespace no_adl
using namespace no_adl;

namespace internal {

/// Makes a coroutine out of an awaitable that is not a coroutine. The awaitable lives in the frame.
template <class Given>
Coro<AwaitResult<Given>> as_coroutine(Given awaitable) {
    co_return co_await std::move(awaitable);
}

/// The types from which a task can be made: everything that can be awaited, and functions that
/// return a coroutine.
template <class Given>
concept Startable = Awaitable<Given> || CoroutineFunction<Given>;

/// Turns what the program gave to `create_task` into the coroutine that the task runs.
template <class Given>
auto coroutine_of(Given&& given) {
    using Plain = std::decay_t<Given>;
    if constexpr (is_coro<Plain>) {
        static_assert(!std::is_lvalue_reference_v<Given>,
                      "a Coro can be awaited only once: pass it with std::move");
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

namespace no_adl {

/// Schedules the await of something that is not a coroutine: `create_task(sleep(1s))`,
/// `create_task(event.wait())`, `create_task(queue.get())`. The result of the task is the result of
/// the await.
///
/// Lifetime: the object behind the awaitable, the event or the queue for example, must live until
/// the task has ended.
/// Python: `create_task` takes coroutines only.
template <class Given>
    requires(internal::Awaitable<Given> && !internal::is_coro<std::decay_t<Given>>)
auto create_task(Given&& awaitable, const TaskOptions& options = {}) {
    return internal::running_loop("asyncio::create_task()")
        .create_task(std::forward<Given>(awaitable), options);
}

}  // namespace no_adl
using namespace no_adl;

/// The task that is running the calling code. Empty in a callback and outside a loop.
/// Python: `asyncio.current_task`.
TaskRef current_task() noexcept;

/// The tasks of the loop that have not ended, in the order of their creation.
/// Python: `asyncio.all_tasks`.
std::vector<TaskRef> all_tasks();
/// The same for a given loop.
std::vector<TaskRef> all_tasks(EventLoop& loop);

/// The await tree: what each task of the loop waits for, and where. The text has a line for each
/// task and a line for each of its frames, with file, line and function, the innermost frame first.
/// `DeadlockError` carries the same text.
/// Python: `asyncio.capture_call_graph`, `Task.get_stack`.
std::string format_tasks(EventLoop& loop = get_running_loop());
/// Writes the same text to standard error. In debug mode the signal SIGQUIT (Ctrl-\) does this
/// while `run` runs.
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

/// Refuses a handle that refers to no future. Throws: RuntimeError.
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

namespace no_adl {

/// Returns a Task or Future as it is. Makes a new task of anything else that can be awaited.
///
/// While no loop runs, the task goes to the thread's current loop (see `set_event_loop`). It begins
/// when that loop runs.
/// Throws: RuntimeError if no loop runs and the thread has no current loop; `std::invalid_argument`
/// for a future of another loop.
/// Python: `asyncio.ensure_future`.
template <class Awaitable>
auto ensure_future(Awaitable&& awaitable) {
    return internal::ensure_future_on(internal::running_or_current_loop("asyncio::ensure_future()"),
                                      std::forward<Awaitable>(awaitable));
}
/// The same on a given loop, which need not run yet. Python: the `loop` argument.
template <class Awaitable>
auto ensure_future(Awaitable&& awaitable, EventLoop& loop) {
    return internal::ensure_future_on(loop, std::forward<Awaitable>(awaitable));
}

}  // namespace no_adl
using namespace no_adl;

namespace internal {

/// The part of `run_until_complete` that does not depend on the type: runs the loop until `future`
/// is done. Throws: RuntimeError if the loop was stopped before that.
void run_until_done(EventLoop& loop, FutureBase& future);

}  // namespace internal

template <class Awaitable>
decltype(auto) EventLoop::run_until_complete(Awaitable&& awaitable) {
    check_can_run();
    auto future = internal::ensure_future_on(*this, std::forward<Awaitable>(awaitable));
    internal::run_until_done(*this, *future.state());
    using Value = typename decltype(future)::value_type;
    // The caller keeps the handle of a future or task that it gave, and may ask it for the result
    // again. So the result is copied where that is possible. In all other cases no other handle
    // exists, and the result is moved out.
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
