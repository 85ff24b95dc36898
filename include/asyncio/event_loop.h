#pragma once
// The event loop: waits until an event has happened, runs the tasks and callbacks that have become
// ready, and begins again.
//
// The rules of an iteration, which every other part builds on, and which are CPython's:
//   - The callbacks and tasks that are ready when an iteration starts run in it. A callback or task
//     that becomes ready during the iteration runs in the next one.
//   - The ready queue is first in, first out. There is one exception: a task whose operation is
//     found finished while other tasks are ready takes turns with these, one of each. (CPython
//     appends it to the queue; a descriptor then waits for every task that computes.)
//   - Within an iteration, finished operations become ready before expired timers. Timers with the
//     same deadline become ready in the order in which they were armed. (CPython leaves that last
//     order open.)
//   - A timer never fires early.
//
// These rules are a contract, tested against CPython. They decide every race inside one iteration:
// which of two tasks gets a lock, whether a result or a time limit comes first. A loop without such
// rules could be faster in places, for example by resuming a waiter at once inside `set_result`;
// then the order of events would depend on the depth of calls.
//
// Layers. The loop runs nodes (`internal::Ready`), and does not know whether a node is a task, a
// callback or the target of a timer. It keeps lists of tasks and generators without knowing what
// they are, and asks one floor up (`core/residents.cpp`, `core/generator.cpp`) when it has to
// describe them or bring them to an end. So the loop can be read, and tested, without tasks.
//
// How other threads reach the loop. They push nodes onto the inbox, a lock-free stack that the loop
// takes as a whole at the start of each iteration and reverses. They do so through the gate
// (`internal/loop/loop_gate.h`), which refuses when the loop is closed, and outlives it.
//
// Thread-safety: a loop belongs to the thread that runs it. The exceptions are
// `call_soon_threadsafe` and the handle it returns, `post`, and `gate`.

#include <asyncio/delay.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/base/bind.h>
#include <asyncio/internal/base/intrusive_list.h>
#include <asyncio/internal/base/time.h>
#include <asyncio/internal/base/unique_function.h>
#include <asyncio/internal/loop/loop_gate.h>
#include <asyncio/internal/loop/step.h>
#include <asyncio/lowlevel/backend.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace asyncio {

template <class T>
class Coro;
template <class T>
class Future;
template <class T>
class Task;
struct TaskOptions;
class ThreadPoolExecutor;

namespace internal {

class TimerHeap;

/// A node that the loop can run: the next step of a task, or a callback. It stands in one list at
/// most, and in none while it runs.
struct Ready : ListNode {
    void (*run)(Ready&) noexcept = nullptr;
};

using ReadyList = IntrusiveList<Ready>;

/// A deadline in the loop's heap. When it comes, `target` becomes ready. The owner of the timer
/// disarms it before the timer or its target is destroyed. A timer that has fired is disarmed
/// already.
struct Timer {
    static constexpr std::uint32_t disarmed = ~std::uint32_t{0};

    /// The timer's entry in the heap's table; see `base/timer_heap.h`.
    std::uint32_t slot = disarmed;
    Ready* target;  // set before the timer is armed
    /// The memory that `target` will touch first when it runs, to be fetched into the cache in
    /// advance.
    const void* touched_next = this;

    bool armed() const noexcept { return slot != disarmed; }
};

/// An element of a list that the loop keeps without knowing its elements. In practice: the tasks
/// that have not ended.
struct Resident : ListNode {};

/// The asynchronous generators that have begun and not ended. The loop only keeps the lists;
/// `core/generator.cpp` brings the generators to an end.
struct AsyncGenerators {
    IntrusiveList<Resident> live;
    /// The generators whose owners have dropped them, until the loop closes them.
    IntrusiveList<Resident> orphans;
    /// `shutdown_asyncgens` was called. A generator that begins after that is logged.
    bool shut_down = false;
};

/// A listener that is called when the loop closes. An object that keeps an operation in flight
/// without a task that awaits it (the watch over a child process, for example) cancels the
/// operation then. The loop takes the listener off the list before it calls it.
struct AtClose : ListNode {
    void (*run)(AtClose&) noexcept = nullptr;
};

/// A listener in the orderly end of `run`. It is called when the tasks have ended and the loop can
/// still run, in the order of registration, and the coroutine that it returns is awaited. The loop
/// takes it off the list before. `limit` is how long the coroutine may take.
struct AtShutdown : ListNode {
    Coro<void> (*run)(AtShutdown& listener, Duration limit) = nullptr;
};

/// Puts a loop on the list of all existing loops, with a number that no other loop has: see
/// `src/loop/live_loop.h`. So code that holds an address can tell whether its loop still exists.
class LiveLoop : ListNode {
public:
    LiveLoop() noexcept;
    LiveLoop(const LiveLoop&) = delete;
    LiveLoop& operator=(const LiveLoop&) = delete;
    ~LiveLoop();

    std::uint32_t number() const noexcept { return number_; }

private:
    template <class>
    friend class IntrusiveList;

    std::uint32_t number_ = 0;
};

class CallbackNode;
class LoopThreads;

/// The questions of the loop about its residents. `core/residents.cpp` and `core/generator.cpp`
/// answer them: the await tree as text, and the end of all tasks and all generators.
std::string describe_residents(EventLoop& loop);
void wind_up_residents(EventLoop& loop);
void wind_up_asyncgens(EventLoop& loop);

}  // namespace internal

/// A callback that was given to `call_soon`, `call_later` or `call_at`. Copies refer to the same
/// callback. Dropping the handle does not cancel the callback. An empty handle refers to no
/// callback, and its `cancel` has no effect.
///
/// Thread-safety: loop thread only. A callback from `call_soon_threadsafe` may be cancelled from
/// any thread.
/// Python: `asyncio.Handle`.
class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(internal::CallbackNode* node) noexcept;
    Handle(const Handle& other) noexcept;
    Handle(Handle&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    Handle& operator=(Handle other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~Handle();

    /// Cancels the callback: it will not run, and the objects that it captured are destroyed at
    /// once. No effect if it has run. If it is running on another thread, this call and `cancelled`
    /// wait until it has returned. In every case the program may destroy afterwards what the
    /// callback uses.
    void cancel() noexcept;
    /// Whether the callback was cancelled before it ran.
    bool cancelled() const noexcept;

protected:
    internal::CallbackNode* node_ = nullptr;
};

/// The handle of a callback with a deadline. Python: `asyncio.TimerHandle`.
class TimerHandle : public Handle {
public:
    using Handle::Handle;
    /// The deadline, also after it has passed. Throws: RuntimeError if the handle is empty.
    TimePoint when() const;
};

/// The argument of the exception handler. The views are valid during the call.
/// Python: the `context` dictionary of `loop.call_exception_handler`.
struct ErrorContext {
    std::string_view message;           ///< A sentence that says what happened.
    std::exception_ptr exception = {};  ///< Null if there was no exception.
    std::string_view task_name = {};    ///< The name of the task; empty if it is not about a task.
};

/// The exception handler of a loop: any callable, also a closure with a state. An empty one stands
/// for the default, which logs.
using ExceptionHandler = std::function<void(EventLoop& loop, const ErrorContext& context)>;

/// How a loop is made.
struct LoopOptions {
    /// How the loop reaches the kernel.
    lowlevel::BackendKind backend = lowlevel::BackendKind::automatic;
    /// Whether the loop runs in debug mode. Without a value, `ASYNCIO_DEBUG` decides.
    std::optional<bool> debug = std::nullopt;
    /// As `set_eager_tasks`.
    bool eager_tasks = false;
};

/// An event loop. Most programs need none of its functions: `run()` makes a loop, runs it, and ends
/// it in order. Inside a coroutine, `get_running_loop()` gives the loop.
/// Python: `asyncio.AbstractEventLoop`.
class EventLoop {
public:
    /// A loop on the back-end that the options name. Throws: what `lowlevel::make_backend` throws.
    explicit EventLoop(LoopOptions options = {});
    /// A loop on a given back-end, for tests. `options.backend` is ignored.
    explicit EventLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options = {});
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    /// `close()`.
    ~EventLoop();

    // Running.

    /// Runs the loop until `stop()` is called. If `stop()` was called before, runs exactly one
    /// iteration and does not wait.
    /// Throws: RuntimeError if a loop runs on this thread already, or if this loop is closed;
    /// DeadlockError on the simulated back-end, when nothing is left that could ever run.
    void run_forever();

    /// Runs the loop until `awaitable` (a Coro, Task, Future, …) is done. Returns its value or
    /// throws its error.
    /// Throws also: RuntimeError if `stop()` ended the run before that (the awaitable goes on at
    /// the next run). Defined in task.h.
    template <class Awaitable>
    decltype(auto) run_until_complete(Awaitable&& awaitable);

    /// Ends `run_forever` after the iteration in progress. Callbacks and tasks that are ready then
    /// stay ready for the next run. From another thread:
    /// `call_soon_threadsafe([&] { loop.stop(); })`.
    void stop() {
        check_thread();
        stopping_ = true;
    }

    /// Whether the loop runs at the moment. Loop thread only; `is_closed` may be called from any
    /// thread.
    bool is_running() const noexcept { return running_; }
    bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

    /// Closes the loop. Tasks that have not ended are named in the log, cancelled, and run to their
    /// end, because a frame is never destroyed in the middle. Callbacks that are scheduled are
    /// dropped. Closing twice is allowed. Closing a loop inside another loop that runs is allowed,
    /// and blocks that one.
    /// Throws: RuntimeError while the loop runs.
    void close();

    // Callbacks.

    /// Runs `callback()` in the next iteration, in a copy of the current context. An exception that
    /// leaves the callback goes to the exception handler.
    /// Throws: RuntimeError if the loop is closed. Cost: allocates. Python: `loop.call_soon`.
    Handle call_soon(internal::UniqueFunction<void()> callback);
    /// Runs `callback()` when `delay` has passed. Zero or less: in the next iteration, behind the
    /// callbacks that are ready. Throws: as `call_soon`. Python: `loop.call_later`.
    TimerHandle call_later(Delay delay, internal::UniqueFunction<void()> callback);
    /// Runs `callback()` at the time `when` of this loop's clock (see `time()`). Throws: as
    /// `call_soon`. Python: `loop.call_at`.
    TimerHandle call_at(Deadline when, internal::UniqueFunction<void()> callback);
    /// As `call_soon`, for other threads: wakes the loop if it waits. Not for signal handlers,
    /// since it allocates.
    ///
    /// Lifetime: the loop must exist when the call begins. The callback may end the loop, since the
    /// destruction of the loop waits until this call has stopped using it. Where the loop may be
    /// gone already, use a `LoopHandle` (loop_handle.h).
    /// Throws: RuntimeError if the loop is closed; the callback is then destroyed and never runs.
    Handle call_soon_threadsafe(internal::UniqueFunction<void()> callback);

    // The same for a function with arguments: `call_later(1s, print, "text")`. Function and
    // arguments are copied or moved. Wrap an argument in `std::ref` to share it.

    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    Handle call_soon(Function&& function, Arguments&&... arguments) {
        return call_soon(internal::bind_arguments(std::forward<Function>(function),
                                                  std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    TimerHandle call_later(Delay delay, Function&& function, Arguments&&... arguments) {
        return call_later(delay, internal::bind_arguments(std::forward<Function>(function),
                                                          std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    TimerHandle call_at(Deadline when, Function&& function, Arguments&&... arguments) {
        return call_at(when, internal::bind_arguments(std::forward<Function>(function),
                                                      std::forward<Arguments>(arguments)...));
    }
    template <class Function, class... Arguments>
        requires(sizeof...(Arguments) > 0 && internal::CallableWith<Function, Arguments...>)
    Handle call_soon_threadsafe(Function&& function, Arguments&&... arguments) {
        return call_soon_threadsafe(internal::bind_arguments(
            std::forward<Function>(function), std::forward<Arguments>(arguments)...));
    }

    /// The time on the loop's clock, which is monotonic, and virtual on the simulated back-end.
    /// Every call reads the clock. Python: `loop.time`, which is a number of seconds.
    TimePoint time() const noexcept { return backend_->now(); }

    // Futures and tasks (defined in future.h and task.h).

    /// A new future of this loop. Python: `loop.create_future`.
    template <class T = void>
    Future<T> create_future();
    /// Schedules `coroutine` as a task of this loop, which need not run yet. In all else as the
    /// free function `create_task`. Throws: RuntimeError if the loop is closed. There are two
    /// functions instead of a default argument, because `TaskOptions` is not complete in this
    /// header.
    template <class T>
    Task<T> create_task(Coro<T> coroutine, const TaskOptions& options);
    template <class T>
    Task<T> create_task(Coro<T> coroutine);
    /// The same for a function that returns a coroutine, and for anything else that can be awaited.
    /// See the free function `create_task`.
    template <class Given>
    auto create_task(Given&& given, const TaskOptions& options);
    template <class Given>
    auto create_task(Given&& given);

    /// Whether tasks run up to their first wait before `create_task` returns, unless
    /// `TaskOptions::eager_start` says otherwise. Eager tasks save an iteration where tasks often
    /// end at once, and change the order of events. Python: `set_task_factory(eager_task_factory)`.
    void set_eager_tasks(bool enabled) noexcept { eager_tasks_ = enabled; }
    bool get_eager_tasks() const noexcept { return eager_tasks_; }

    // Threads (defined in executor.h).

    /// Calls `function(arguments...)` on a thread of `executor`, and returns a future of the
    /// result. `executor` is a ThreadPoolExecutor, a ProcessPoolExecutor, an executor of the
    /// program's own, or a null pointer for the default executor. Described in executor.h.
    template <class Pool, class Function, class... Arguments>
    auto run_in_executor(Pool&& executor, Function&& function, Arguments&&... arguments);
    /// Sets the executor that gets the jobs of `run_in_executor(nullptr, …)` and `to_thread` from
    /// now on.
    /// Throws: `std::invalid_argument` if it is null; RuntimeError if the loop is closed.
    void set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor);
    /// The same for an executor that the loop takes over:
    /// `set_default_executor(ThreadPoolExecutor({.max_workers = 4}))`.
    void set_default_executor(ThreadPoolExecutor&& executor);
    /// Ends the default executor: it takes no further jobs, and this waits until its jobs have
    /// ended, at most for `limit`. The loop runs in the meantime. Threads that are still busy after
    /// `limit` are named in the log and left to themselves. `Runner` does this at the end of a run.
    /// Python: `loop.shutdown_default_executor`.
    Coro<void> shutdown_default_executor(std::optional<Delay> limit = std::nullopt);

    /// Closes all asynchronous generators that have begun and not ended. A generator that begins
    /// after that is logged. Errors go to the exception handler. `Runner` and `close` do this at
    /// the end.
    /// Python: `loop.shutdown_asyncgens`.
    Coro<void> shutdown_asyncgens();

    // Errors and debugging.

    /// Sets the handler for errors that no part of the program awaits. `nullptr` restores the
    /// default, which logs. A handler may replace itself. Python: `loop.set_exception_handler`.
    void set_exception_handler(ExceptionHandler handler);
    /// The handler; empty if none was set.
    ExceptionHandler get_exception_handler() const;
    /// The default handler: logs the error. A handler of the program may call it.
    void default_exception_handler(const ErrorContext& context) noexcept;
    /// Reports an error that no part of the program awaits. If the handler throws, both errors go
    /// to the default handler.
    void call_exception_handler(const ErrorContext& context) noexcept;

    /// Switches debug mode on or off: checks of threads, warnings of slow steps, of coroutines that
    /// were never awaited, and of circles of waits. Python: `loop.set_debug`.
    void set_debug(bool enabled) noexcept { debug_ = enabled; }
    bool get_debug() const noexcept { return debug_; }
    /// In debug mode, a step or callback that keeps the loop busy for longer than this is logged.
    /// Python: `loop.slow_callback_duration`.
    Delay slow_callback_duration = std::chrono::milliseconds(100);

    /// How many iterations have run at least one node. Two events with the same number have
    /// happened in the same iteration. An iteration in which nothing was ready does not count,
    /// because the number of these depends on the back-end.
    std::uint64_t iterations() noexcept { return iterations_; }

    /// The back-end's name: "io_uring", "epoll" or "simulated".
    const char* backend_name() const noexcept { return backend_->name(); }

    // For awaitables: the functions with which a wait is built.

    /// Makes `node` ready: it runs in the next iteration, behind the nodes that are ready. The node
    /// must be in no list.
    void schedule(internal::Ready& node) noexcept { ready_.push_back(node); }
    /// Makes all `nodes` ready, in their order, and leaves the list empty. Cost: O(1).
    void schedule_all(internal::ReadyList& nodes) noexcept { ready_.append(nodes); }

    /// Arms `timer`: its target becomes ready at `when`. `TimePoint::max()` never comes. The timer
    /// must be disarmed. Throws: `std::bad_alloc`. Cost: O(log timers).
    void arm(internal::Timer& timer, TimePoint when);
    /// Disarms `timer`. No effect on a timer that is not armed. Cost: O(1), amortised.
    void disarm(internal::Timer& timer) noexcept;

    /// Hands an operation to the back-end. If the answer is `finished`, the result is in the
    /// operation, and `on_finished` is not called.
    /// Throws: RuntimeError if the operation is in flight already.
    lowlevel::Backend::Submitted submit(lowlevel::Operation& operation);
    /// Asks for the early end of an operation that is in flight. It is still reported; see rule 1
    /// in `lowlevel/backend.h`.
    void cancel(lowlevel::Operation& operation) noexcept { backend_->cancel(operation); }

    /// Makes `node` ready from another thread or from a signal handler, and wakes the loop. Returns
    /// false if the loop is closed; the node has not been touched then.
    bool post(internal::Ready& node) noexcept { return gate_->post(node); }
    /// The gate through which other threads reach this loop. It outlives the loop.
    const std::shared_ptr<internal::LoopGate>& gate() const noexcept { return gate_; }

    /// Functions that only the loop's thread may call begin with this. In debug mode it throws
    /// RuntimeError if this loop runs on another thread at the moment. Without debug mode it costs
    /// a look at a flag.
    void check_thread() const {
        if (debug_) [[unlikely]]
            gate_->require_own_thread();
    }

    /// A number that tells this loop from all others, also from loops that were at its address
    /// before.
    std::uint32_t number() const noexcept { return live_.number(); }

    /// From now on the loop runs only to bring its tasks to an end. This is allowed inside another
    /// running loop, too.
    void begin_to_close() noexcept { closing_ = true; }

    /// As `Backend::expect_wakes`.
    void expect_wakes(int change) noexcept { backend_->expect_wakes(change); }

    /// The lists that `core` and other floors keep here: see the types of the elements.
    internal::IntrusiveList<internal::Resident>& residents() noexcept { return residents_; }
    internal::AsyncGenerators& asyncgens() noexcept { return asyncgens_; }
    internal::IntrusiveList<internal::AtClose>& at_close() noexcept { return at_close_; }
    internal::IntrusiveList<internal::AtShutdown>& at_shutdown() noexcept { return at_shutdown_; }
    /// Kept here for `executor.h`, which makes the object when it is needed and destroys it at
    /// `close`.
    internal::LoopThreads*& threads() noexcept { return threads_; }

private:
    friend internal::LoopGate;
    /// Makes this loop the running loop of the thread, for the time of `run_forever`.
    struct RunScope;

    internal::LiveLoop live_;

    /// For the gate: pushes a node onto the inbox. Any thread.
    void take_in(internal::Ready& node) noexcept;
    /// The parts of an iteration, in the order in which `run_forever` calls them.
    void take_inbox() noexcept;
    bool look_is_due() noexcept;
    void wait_until_ready();
    void look();
    void wait(TimePoint deadline);
    void expire_timers() noexcept;
    void expire_until(TimePoint when) noexcept;
    void run_batch();
    void serve_finished(internal::ReadyList& batch);
    void run_step(internal::Ready& node);
    /// Throws: RuntimeError if the loop is closed. The message names `function`, the function that
    /// the program called.
    void check_open(const char* function) const {
        if (is_closed()) [[unlikely]]
            refuse_closed(function);
    }
    [[noreturn, gnu::cold]] static void refuse_closed(const char* function);
    void check_can_run() const;
    /// Parts of `close`: waits until no operation is in flight; runs every node that is left, which
    /// releases it without calling anything.
    void collect_operations();
    void drop_ready() noexcept;

    /// The part that talks to the kernel. Nothing else in the loop waits.
    std::unique_ptr<lowlevel::Backend> backend_;
    std::shared_ptr<internal::LoopGate> gate_ = std::make_shared<internal::LoopGate>(*this);
    /// The ready queue.
    internal::ReadyList ready_;
    /// The tasks whose operations were found finished while other tasks were ready. Filled within
    /// an iteration, and empty between iterations.
    internal::ReadyList finished_;
    std::unique_ptr<internal::TimerHeap> timers_;
    /// Nodes from other threads, the newest first, linked through `next`. The loop takes the whole
    /// list at once, so a push races only with other pushes.
    std::atomic<internal::ListNode*> inbox_{nullptr};
    internal::IntrusiveList<internal::Resident> residents_;
    internal::AsyncGenerators asyncgens_;
    internal::IntrusiveList<internal::AtClose> at_close_;
    internal::IntrusiveList<internal::AtShutdown> at_shutdown_;
    internal::LoopThreads* threads_ = nullptr;
    /// Operations that the back-end has not reported yet. At zero an iteration need not look at the
    /// back-end.
    std::uint32_t in_flight_ = 0;
    /// After so many steps the loop looks at the back-end although tasks are still ready, so that a
    /// program that is always busy still notices its descriptors. It looks earlier if the steps
    /// take long. The back-end notices that; the loop itself reads no clock between two steps.
    static constexpr std::uint32_t steps_between_looks = 61;
    /// Steps since the last look at the back-end.
    std::uint32_t unobserved_steps_ = 0;
    /// Below this number of steps the back-end is not asked whether a look is due. It is 1 while an
    /// operation is in flight, and `steps_between_looks` otherwise.
    std::uint32_t steps_before_look_ = steps_between_looks;
    std::uint64_t iterations_ = 0;
    bool stopping_ = false;
    bool running_ = false;
    bool closing_ = false;
    bool debug_ = false;
    bool eager_tasks_ = false;
    /// Atomic, since other threads read it.
    std::atomic<bool> closed_{false};
    /// Shared, so that a handler that is running stays alive when it replaces itself.
    std::shared_ptr<const ExceptionHandler> exception_handler_;
};

/// The loop that runs on this thread. Throws: RuntimeError if no loop runs on it.
/// Python: `asyncio.get_running_loop`.
EventLoop& get_running_loop();

/// The loop that runs on this thread. While no loop runs, the thread's current loop: the one that
/// was given to `set_event_loop`.
///
/// On the process's first thread, the first call makes a loop if none was set. The loop exists
/// until the program ends.
/// Throws: RuntimeError if there is no such loop.
/// Python: `asyncio.get_event_loop`, as it is up to 3.13. 3.14 makes no loop.
EventLoop& get_event_loop();

/// Makes `loop` the thread's current loop. `get_event_loop`, `ensure_future` and `gather` use it
/// while no loop runs. A loop that is destroyed is no longer the current loop of any thread.
///
/// Python: `asyncio.set_event_loop`. Python's `run` takes the current loop away; this library's
/// `run` does not.
void set_event_loop(EventLoop& loop);
/// The thread has no current loop after this.
void set_event_loop(std::nullptr_t) noexcept;
/// Refuses a temporary, which would be destroyed at the end of the line: keep the loop in a
/// variable.
void set_event_loop(EventLoop&&) = delete;

/// Makes a new loop: `auto loop = new_event_loop();`.
/// Python: `asyncio.new_event_loop`.
inline EventLoop new_event_loop(LoopOptions options = {}) { return EventLoop(options); }

namespace internal {

/// As `get_event_loop`, but makes no loop. The message of the RuntimeError names `function`, the
/// function that the program called.
EventLoop& running_or_current_loop(const char* function);

[[noreturn, gnu::cold]] void throw_no_loop(const char* function);

/// As `get_running_loop`. The message of the RuntimeError names `function`:
/// "asyncio::create_task()", for example.
inline EventLoop& running_loop(const char* function) {
    if (here.loop == nullptr) [[unlikely]]
        throw_no_loop(function);
    return *here.loop;
}

}  // namespace internal

inline EventLoop& get_running_loop() {
    return internal::running_loop("asyncio::get_running_loop()");
}

}  // namespace asyncio
