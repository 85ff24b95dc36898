#pragma once
// The event loop: the only `while` of a program that waits.
//
// The rules of a tick, which every other part builds on and which are CPython's:
//   - What is ready when an iteration starts is what runs in it. What becomes ready meanwhile runs
//     in the next one.
//   - The ready queue is first in, first out. A task that waited for an operation that is found
//     finished while others are ready takes turns with them instead of standing behind them all.
//     (CPython appends them; a descriptor then waits for every task that computes.)
//   - Within an iteration, finished operations become ready before expired timers, and timers with
//     one deadline in the order in which they were armed. (CPython leaves that last order open.)
//   - A timer never fires early.
//
// Thread-safety: a loop belongs to the thread that runs it. The exceptions are
// `call_soon_threadsafe` and the handle it returns.

#include <asyncio/delay.h>
#include <asyncio/exceptions.h>
#include <asyncio/internal/bind.h>
#include <asyncio/internal/intrusive_list.h>
#include <asyncio/internal/loop_gate.h>
#include <asyncio/internal/step.h>
#include <asyncio/internal/time.h>
#include <asyncio/internal/unique_function.h>
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

/// Something the loop can run: a task's next step or a callback. In one list at most, and in none
/// while it runs.
struct Ready : ListNode {
    void (*run)(Ready&) noexcept = nullptr;
};

using ReadyList = IntrusiveList<Ready>;

/// A deadline in the loop's heap. When it comes, `target` becomes ready. Whoever owns the timer
/// disarms it before it or its target dies; a timer that has fired is disarmed already.
struct Timer {
    static constexpr std::uint32_t disarmed = ~std::uint32_t{0};

    std::uint32_t slot = disarmed;
    Ready* target;  // set before it is armed
    /// What `target` will touch when it runs, so that it can be fetched in advance.
    const void* touched_next = this;

    bool armed() const noexcept { return slot != disarmed; }
};

/// What a loop keeps a list of without knowing what it is. In practice: the tasks that have not
/// ended.
struct Resident : ListNode {};

/// The asynchronous generators that have begun and not ended. As for residents, the loop only keeps
/// them; `core/generator.cpp` brings them to an end.
struct AsyncGenerators {
    IntrusiveList<Resident> live;
    /// Those whose owners have gone, and that wait for being closed.
    IntrusiveList<Resident> orphans;
    bool shut_down = false;
};

/// Told when the loop closes: whoever keeps an operation in flight without a task that awaits it
/// (the watch over a child process, say) cancels it then. Taken off the list before it is called.
struct AtClose : ListNode {
    void (*run)(AtClose&) noexcept = nullptr;
};

/// Has a part in the orderly end of `run`: called, in the order of registration, when the tasks
/// have ended and the loop can still run. Taken off the list before; what it returns is awaited.
/// `limit` is how long it may take.
struct AtShutdown : ListNode {
    Coro<void> (*run)(AtShutdown& listener, Duration limit) = nullptr;
};

/// A loop is on the list of those there are, by a number that no other has:
/// `src/loop/live_loop.h`.
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

/// What the loop has to ask about its residents. It does not know what they are;
/// `core/residents.cpp` does.
std::string describe_residents(EventLoop& loop);
void wind_up_residents(EventLoop& loop);
void wind_up_asyncgens(EventLoop& loop);

}  // namespace internal

/// A callback given to `call_soon`, `call_later` or `call_at`. Copies refer to the same callback;
/// dropping them all changes nothing. An empty one has no callback, and `cancel` no effect.
///
/// Thread-safety: loop thread only; one that came from `call_soon_threadsafe` may be cancelled from
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

    /// The callback will not run, and what it captured is destroyed now. No effect if it has run.
    /// If it is running on another thread, this and `cancelled` wait for its end: what it uses can
    /// be taken away afterwards, either way.
    void cancel() noexcept;
    bool cancelled() const noexcept;

protected:
    internal::CallbackNode* node_ = nullptr;
};

/// Python: `asyncio.TimerHandle`.
class TimerHandle : public Handle {
public:
    using Handle::Handle;
    /// The deadline, before and after it has come. Throws: RuntimeError if the handle is empty.
    TimePoint when() const;
};

/// What the exception handler is told. The views are valid during the call.
/// Python: the `context` dictionary of `loop.call_exception_handler`.
struct ErrorContext {
    std::string_view message;           ///< What happened, as a sentence.
    std::exception_ptr exception = {};  ///< Null if there was none.
    std::string_view task_name = {};    ///< Empty if no task is concerned.
};

/// Any callable: a function, a closure with a state of its own. Empty: the default, which logs.
using ExceptionHandler = std::function<void(EventLoop& loop, const ErrorContext& context)>;

struct LoopOptions {
    lowlevel::BackendKind backend = lowlevel::BackendKind::automatic;
    /// Debug mode; without a value, as `ASYNCIO_DEBUG` says.
    std::optional<bool> debug = std::nullopt;
    /// As `set_eager_tasks`.
    bool eager_tasks = false;
};

/// Python: `asyncio.AbstractEventLoop`; use `run()` where you can, it replaces all of this.
class EventLoop {
public:
    /// Throws what `lowlevel::make_backend` throws.
    explicit EventLoop(LoopOptions options = {});
    /// A loop on a given back-end, for tests.
    explicit EventLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options = {});
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    /// `close()`.
    ~EventLoop();

    // Running.

    /// Runs until `stop()`. If that was called already: exactly one iteration, without waiting.
    /// Throws: RuntimeError if a loop runs on this thread already, or this one is closed;
    /// DeadlockError.
    void run_forever();

    /// Runs until `awaitable` (a Coro, Task, Future, …) is done; returns its value or throws its
    /// error.
    /// Throws also: RuntimeError if `stop()` ended the run first (the awaitable goes on at the next
    /// run). Defined in task.h.
    template <class Awaitable>
    decltype(auto) run_until_complete(Awaitable&& awaitable);

    /// Ends `run_forever` after the iteration in progress; what is ready then stays ready for the
    /// next run. On another thread: `call_soon_threadsafe([&] { loop.stop(); })`.
    void stop() {
        check_thread();
        stopping_ = true;
    }

    bool is_running() const noexcept { return running_; }
    bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

    /// Drops what is scheduled. Tasks that have not ended are named in the log, cancelled, and run
    /// to their end, for a frame is never destroyed in the middle. Closing twice is allowed, and so
    /// is closing a loop inside another one that runs, which waits meanwhile.
    /// Throws: RuntimeError while the loop runs.
    void close();

    // Callbacks.

    /// Runs `callback()` in the next iteration. Throws: RuntimeError if the loop is closed.
    Handle call_soon(internal::UniqueFunction<void()> callback);
    /// Runs `callback()` `delay` from now; zero or less: in the next iteration, after what is
    /// ready.
    TimerHandle call_later(Delay delay, internal::UniqueFunction<void()> callback);
    /// Runs `callback()` at `when` on this loop's clock (`time()`).
    TimerHandle call_at(Deadline when, internal::UniqueFunction<void()> callback);
    /// `call_soon` for every other thread: wakes the loop if it waits. Not for signal handlers.
    ///
    /// Lifetime: the loop must exist when the call begins. The callback may end the loop: its
    /// destruction waits until this call no longer uses it. Where the loop may be gone already, use
    /// a `LoopHandle` (loop_handle.h).
    /// Throws: RuntimeError if the loop is closed; the callback is then destroyed and never runs.
    Handle call_soon_threadsafe(internal::UniqueFunction<void()> callback);

    // The same for a function with arguments: `call_later(1s, print, "text")`. Function and
    // arguments are copied or moved; wrap in `std::ref` what is to be shared.

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

    /// Now, on the loop's monotonic (on the simulated back-end: virtual) clock. Read afresh at
    /// every call.
    TimePoint time() const noexcept { return backend_->now(); }

    // Futures and tasks (defined in future.h and task.h).

    template <class T = void>
    Future<T> create_future();
    template <class T>
    Task<T> create_task(Coro<T> coroutine, const TaskOptions& options);
    template <class T>
    Task<T> create_task(Coro<T> coroutine);
    /// The same for a function that returns a coroutine, and for anything else that can be awaited;
    /// see the free `create_task`.
    template <class Given>
    auto create_task(Given&& given, const TaskOptions& options);
    template <class Given>
    auto create_task(Given&& given);

    /// Whether tasks run up to their first wait before `create_task` returns, unless their options
    /// say otherwise. It saves an iteration where tasks often end at once, and changes the order in
    /// which things happen. Python: `set_task_factory(eager_task_factory)`.
    void set_eager_tasks(bool enabled) noexcept { eager_tasks_ = enabled; }
    bool get_eager_tasks() const noexcept { return eager_tasks_; }

    // Threads (defined in executor.h).

    /// Calls `function(arguments...)` on a thread of `executor`; a null pointer means the default
    /// one. Returns a future of the result. Executors of the program's own, too.
    template <class Pool, class Function, class... Arguments>
    auto run_in_executor(Pool&& executor, Function&& function, Arguments&&... arguments);
    /// Whom `run_in_executor(nullptr, …)` and `to_thread` give their jobs to from now on.
    void set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor);
    /// Takes it over: `set_default_executor(ThreadPoolExecutor({.max_workers = 4}))`.
    void set_default_executor(ThreadPoolExecutor&& executor);
    /// No further jobs for the default executor; waits for those it has.
    Coro<void> shutdown_default_executor(std::optional<Delay> limit = std::nullopt);

    /// Closes all asynchronous generators that have begun and not ended. One that begins afterwards
    /// is remarked upon in the log. Errors go to the exception handler. `Runner` and `close` do
    /// this at the end. Defined in generator.h.
    /// Python: `loop.shutdown_asyncgens`.
    Coro<void> shutdown_asyncgens();

    // Errors and debugging.

    /// `nullptr` restores the default, which logs. A handler may replace itself.
    void set_exception_handler(ExceptionHandler handler);
    /// Empty if none was set.
    ExceptionHandler get_exception_handler() const;
    /// What is done with an error while no handler is set, and what a handler may fall back on.
    void default_exception_handler(const ErrorContext& context) noexcept;
    /// Reports an error nobody awaits. A handler that throws is itself reported.
    void call_exception_handler(const ErrorContext& context) noexcept;

    void set_debug(bool enabled) noexcept { debug_ = enabled; }
    bool get_debug() const noexcept { return debug_; }
    /// In debug mode, a step or callback that holds the loop for longer is logged.
    Delay slow_callback_duration = std::chrono::milliseconds(100);

    /// How many iterations have run something so far: the loop's own measure of order. What happens
    /// at the same number happened in the same iteration. One in which nothing was ready does not
    /// count, for whether there are such ones depends on the back-end.
    std::uint64_t iterations() noexcept { return iterations_; }

    /// The back-end's name: "io_uring", "epoll" or "simulated".
    const char* backend_name() const noexcept { return backend_->name(); }

    // For those who write awaitables.

    /// `node` runs in the next iteration, behind what is ready already. The node must be in no
    /// list.
    void schedule(internal::Ready& node) noexcept { ready_.push_back(node); }
    /// Makes everything in `nodes` ready, in order.
    void schedule_all(internal::ReadyList& nodes) noexcept { ready_.append(nodes); }

    /// `timer.target` becomes ready at `when`, which for `TimePoint::max()` is never. The timer
    /// must be disarmed.
    void arm(internal::Timer& timer, TimePoint when);
    /// No effect on a timer that is not armed. O(1), amortised.
    void disarm(internal::Timer& timer) noexcept;

    /// Hands an operation to the back-end. After `finished` its result is there and `on_finished`
    /// is not called.
    /// Throws: RuntimeError if the operation is in flight already.
    lowlevel::Backend::Submitted submit(lowlevel::Operation& operation);
    void cancel(lowlevel::Operation& operation) noexcept { backend_->cancel(operation); }

    /// Makes `node` ready from another thread or from a signal handler, and wakes the loop. False
    /// if the loop is closed: the node is then untouched.
    bool post(internal::Ready& node) noexcept { return gate_->post(node); }
    /// The way of other threads into this loop. Outlives it.
    const std::shared_ptr<internal::LoopGate>& gate() const noexcept { return gate_; }

    /// What only the loop's thread may do calls this first. In debug mode it throws RuntimeError if
    /// this loop runs on another thread at the moment; else it costs a look at a flag.
    void check_thread() const {
        if (debug_) [[unlikely]]
            gate_->require_own_thread();
    }

    /// Tells this loop from all others, those included that were at its address before.
    std::uint32_t number() const noexcept { return live_.number(); }

    /// From now on it runs only to be wound up, which is allowed inside another running loop too.
    void begin_to_close() noexcept { closing_ = true; }

    /// As `Backend::expect_wakes`.
    void expect_wakes(int change) noexcept { backend_->expect_wakes(change); }

    internal::IntrusiveList<internal::Resident>& residents() noexcept { return residents_; }
    internal::AsyncGenerators& asyncgens() noexcept { return asyncgens_; }
    internal::IntrusiveList<internal::AtClose>& at_close() noexcept { return at_close_; }
    internal::IntrusiveList<internal::AtShutdown>& at_shutdown() noexcept { return at_shutdown_; }
    /// Kept here for `executor.h`, which makes it when it is needed and takes it away at `close`.
    internal::LoopThreads*& threads() noexcept { return threads_; }

private:
    friend internal::LoopGate;
    struct RunScope;

    internal::LiveLoop live_;

    void take_in(internal::Ready& node) noexcept;
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
    /// Throws: RuntimeError if the loop is closed; it names `function`, which was called.
    void check_open(const char* function) const {
        if (is_closed()) [[unlikely]]
            refuse_closed(function);
    }
    [[noreturn, gnu::cold]] static void refuse_closed(const char* function);
    void check_can_run() const;
    void collect_operations();
    void drop_ready() noexcept;

    std::unique_ptr<lowlevel::Backend> backend_;
    std::shared_ptr<internal::LoopGate> gate_ = std::make_shared<internal::LoopGate>(*this);
    internal::ReadyList ready_;
    /// Found finished while others were ready. Filled within an iteration, and empty behind it.
    internal::ReadyList finished_;
    std::unique_ptr<internal::TimerHeap> timers_;
    /// Pushed by any thread, newest first; linked through `next`. Taken whole by the loop.
    std::atomic<internal::ListNode*> inbox_{nullptr};
    internal::IntrusiveList<internal::Resident> residents_;
    internal::AsyncGenerators asyncgens_;
    internal::IntrusiveList<internal::AtClose> at_close_;
    internal::IntrusiveList<internal::AtShutdown> at_shutdown_;
    internal::LoopThreads* threads_ = nullptr;
    /// Operations the back-end has not reported yet. Zero lets an iteration skip the back-end.
    std::uint32_t in_flight_ = 0;
    /// After so many steps the back-end is looked at even though tasks are still ready, so that a
    /// program that never rests still notices its sockets. It is looked at before if the steps take
    /// long, which the back-end notices: the loop itself asks no clock between two steps.
    static constexpr std::uint32_t steps_between_looks = 61;
    /// Steps since the back-end was last looked at.
    std::uint32_t unobserved_steps_ = 0;
    /// Below so many it need not even be asked whether a look is due: nothing is in flight.
    std::uint32_t steps_before_look_ = steps_between_looks;
    std::uint64_t iterations_ = 0;
    bool stopping_ = false;
    bool running_ = false;
    bool closing_ = false;
    bool debug_ = false;
    bool eager_tasks_ = false;
    /// Read by other threads, too.
    std::atomic<bool> closed_{false};
    /// Shared, so that the one which is running outlives its replacement.
    std::shared_ptr<const ExceptionHandler> exception_handler_;
};

/// The loop that runs on this thread. Throws: RuntimeError if none does.
/// Python: `asyncio.get_running_loop`.
EventLoop& get_running_loop();

/// The loop that runs on this thread; while none does, the thread's current one: the one that was
/// given to `set_event_loop`.
///
/// The process's first thread gets a loop of its own when it asks for the first time and none was
/// set. That one is there until the program ends.
/// Throws: RuntimeError if there is none.
/// Python: `asyncio.get_event_loop`, as it is up to 3.13. 3.14 makes no loop.
EventLoop& get_event_loop();

/// Makes `loop` the thread's current one: what `get_event_loop`, `ensure_future` and `gather` use
/// while no loop runs. A loop that goes is current no more.
///
/// Python: `asyncio.set_event_loop`. There `run` takes the current loop away; here it does not.
void set_event_loop(EventLoop& loop);
/// The thread has none then.
void set_event_loop(std::nullptr_t) noexcept;
/// Keep the loop in a variable: it goes at the end of the line otherwise.
void set_event_loop(EventLoop&&) = delete;

/// A loop of one's own: `auto loop = new_event_loop();`.
/// Python: `asyncio.new_event_loop`.
inline EventLoop new_event_loop(LoopOptions options = {}) { return EventLoop(options); }

namespace internal {

/// As `get_event_loop`, but makes none. The error names `function`, which was called.
EventLoop& running_or_current_loop(const char* function);

[[noreturn, gnu::cold]] void throw_no_loop(const char* function);

/// As `get_running_loop`, for `function`, which the error names: "asyncio::create_task()".
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
