#pragma once
// Calling functions that block or compute, on other threads: `to_thread`, `run_in_executor`.
//
//   std::string text = co_await asyncio::to_thread(read_file, path);
//
// A thread cannot be stopped from outside. Cancelling the await ends the await at once. The
// function runs on, and its result is dropped. A function that takes a `std::stop_token` as its
// first parameter learns of the cancellation through it, and can return early.
//
// The arguments of a job are copied (or moved) to the job, like those of `std::thread`. Wrap an
// argument in `std::ref` to share it, and keep it alive until the job has ended. After a
// cancellation that may be later than the end of the await.
//
// A job has two owners: the thread that runs it, and the loop that waits for its result. Either may
// be gone before the other one. `internal/executors/loop_threads.h` describes the one word of state
// on which the two sides agree.
//
// Thread-safety: loop thread only, except for the jobs themselves. Several loops may use one
// `ThreadPoolExecutor`.

#include <asyncio/context.h>
#include <asyncio/coro.h>
#include <asyncio/future.h>
#include <asyncio/internal/core/awaitable.h>
#include <asyncio/internal/core/body.h>
#include <asyncio/internal/executors/loop_threads.h>

#include <atomic>
#include <cassert>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

namespace internal {
class Workers;
}

/// A job for an executor. The executor calls it once, on any thread. If the job is destroyed
/// without having been called, the task that awaits it gets a CancelledError.
class ExecutorJob {
public:
    explicit ExecutorJob(internal::WorkerJob& job) noexcept : job_(&job) {}
    ExecutorJob(ExecutorJob&& other) noexcept : job_(std::exchange(other.job_, nullptr)) {}
    ExecutorJob& operator=(ExecutorJob&& other) noexcept {
        std::swap(job_, other.job_);
        return *this;
    }
    ~ExecutorJob() {
        if (job_ != nullptr) job_->drop(*job_);
    }

    /// Runs the job. An exception of the function goes to the task that awaits the job.
    void operator()() noexcept {
        internal::WorkerJob* job = release();
        job->run(*job);
    }

    /// For executors that keep jobs in lists of their own: gives the job away. The caller calls its
    /// `run` or its `drop`, once.
    internal::WorkerJob* release() noexcept { return std::exchange(job_, nullptr); }

private:
    internal::WorkerJob* job_;
};

/// The interface of an executor. Derive a class from it to run jobs on threads of your own.
/// Python: `concurrent.futures.Executor`.
class [[gnu::visibility("default")]] Executor {
public:
    virtual ~Executor() = default;
    /// Arranges that `job` is called, on another thread. A job that is called inside `submit`
    /// blocks the loop. Throws: RuntimeError if the executor takes no further jobs.
    virtual void submit(ExecutorJob job) = 0;
};

/// How a pool of threads is made.
struct ThreadPoolOptions {
    /// The largest number of threads; 0 means `min(32, processors + 4)`, which is Python's number.
    std::size_t max_workers = 0;
    /// The name of a thread is this prefix and a number. Debuggers and `ps -L` show 15 characters
    /// of it. Copied.
    std::string_view thread_name_prefix = "asyncio";
};

/// How an executor ends.
struct ShutdownOptions {
    /// Whether `shutdown` blocks the calling thread until every job has ended.
    bool wait = true;
    /// Whether jobs that have not begun are cancelled. Otherwise they still run.
    bool cancel_futures = false;
};

/// A pool of threads. A thread is started when a job comes and no thread is idle.
///
/// Thread-safety: any thread.
/// Python: `concurrent.futures.ThreadPoolExecutor`.
class ThreadPoolExecutor final : public Executor {
public:
    /// Makes a pool. The first thread is started when the first job comes.
    explicit ThreadPoolExecutor(ThreadPoolOptions options = {});
    /// Moves a pool that is not in use yet. `other` can only be destroyed after that.
    ThreadPoolExecutor(ThreadPoolExecutor&& other) noexcept
        : workers_(std::move(other.workers_)), shut_down_(other.shut_down_.exchange(true)) {}
    ThreadPoolExecutor& operator=(ThreadPoolExecutor&&) = delete;
    /// Calls `shutdown()` unless that was done, so it blocks until every job has ended.
    ~ThreadPoolExecutor() override;

    /// Throws: RuntimeError after `shutdown`, in a forked child, or if the pool has no thread and
    /// none can be started.
    void submit(ExecutorJob job) override;

    /// Ends the pool: it takes no further jobs. Do not wait for jobs that themselves wait for the
    /// loop of the calling thread: both would wait for ever.
    void shutdown(ShutdownOptions options = {});

    std::size_t max_workers() const noexcept;
    /// The number of threads that have been started and have not ended.
    std::size_t thread_count() const;
    /// A line for each busy thread, with the function that it runs: "thread asyncio_0, busy for 3.2
    /// s with read_file".
    std::vector<std::string> busy() const;

private:
    friend internal::LoopThreads;
    std::shared_ptr<internal::Workers> workers_;
    std::atomic<bool> shut_down_{false};
};

namespace internal {

/// The future that `run_in_executor` returns. It differs from a plain future in its cancellation,
/// which also gives up the job.
template <class T>
class ExecutorFuture final : public FutureState<T> {
public:
    explicit ExecutorFuture(EventLoop& loop) noexcept : FutureState<T>(loop) {}

    bool cancel(std::string_view message) override {
        // A future that is done has its result already, and no job to give up.
        if (!FutureState<T>::cancel(message)) return false;
        if (job_ != nullptr) std::exchange(job_, nullptr)->abandon();
        return true;
    }
    /// Connects the future with its job; null takes the connection away.
    void attach(LoopJob* job) noexcept { job_ = job; }
    /// The job has ended. If it threw a CancelledError, the future counts as cancelled.
    void end(Outcome<T>&& outcome) noexcept {
        using End = FutureBase::Status;
        job_ = nullptr;
        if (this->done()) return;
        try {
            this->outcome_ = std::move(outcome);
        } catch (...) {
            this->outcome_.fail(std::current_exception());
        }
        this->complete(!this->outcome_.failed()     ? End::succeeded
                       : this->outcome_.cancelled() ? End::cancelled
                                                    : End::failed);
    }

private:
    /// The job; null when it has delivered its result, or was given up.
    LoopJob* job_ = nullptr;
};

/// A function with its arguments, kept until a thread calls it. It is called once, so both are
/// moved into the call.
template <class Function, class... Arguments>
struct BoundCall {
    static constexpr bool takes_stop_token =
        std::is_invocable_v<Function, std::stop_token, Arguments...>;

    Function function;
    std::tuple<Arguments...> arguments;

    decltype(auto) operator()(const std::stop_token& token) {
        return std::apply(
            [&](auto&... values) -> decltype(auto) {
                if constexpr (takes_stop_token) {
                    return std::invoke(std::move(function), token, std::move(values)...);
                } else {
                    return std::invoke(std::move(function), std::move(values)...);
                }
            },
            arguments);
    }
};

template <class Call>
/// A job with everything that depends on its types: the call, the outcome, and the future that gets
/// it. `call_` is destroyed on the thread, right after the call, so what it holds is not kept until
/// the loop comes to the result.
class BoundJob final : public LoopJob {
public:
    using Result = decltype(std::declval<Call&>()(std::stop_token()));

    template <class... Parts>
    BoundJob(LoopThreads& threads, Parts&&... parts)
        : LoopJob(threads),
          future_(Ref<ExecutorFuture<Result>>::adopt(new ExecutorFuture<Result>(threads.loop()))),
          call_(Call{std::forward<Parts>(parts)...}) {
        using Function = decltype(call_->function);
        // The name of the job in messages. A wrapper (`CallInContext`, a call to another process)
        // names the function inside it.
        this->called = &typeid(Function);
        if constexpr (std::is_pointer_v<Function>)
            this->code = reinterpret_cast<const void*>(call_->function);
        if constexpr (requires { call_->function.code(); }) this->code = call_->function.code();
        if constexpr (requires { call_->function.called(); })
            this->called = &call_->function.called();
        future_->attach(this);
    }

    Future<Result> future() const noexcept {
        return Future<Result>(Ref<FutureState<Result>>::share(future_.get()));
    }

private:
    void call() noexcept override {
        assert(call_.has_value() && "a job can be called only once");
        try {
            if constexpr (std::is_void_v<Result>) {
                (*call_)(stop_.get_token());
                outcome_.emplace();
            } else {
                outcome_.emplace((*call_)(stop_.get_token()));
            }
        } catch (...) {
            outcome_.fail(std::current_exception());
        }
        call_.reset();
    }
    void drop_call() noexcept override { call_.reset(); }
    void fail_dropped() noexcept override {
        call_.reset();
        outcome_.fail(cancellation_with("the executor dropped the job without running it"));
    }
    void request_stop() noexcept override { stop_.request_stop(); }
    void deliver() noexcept override { future_->end(std::move(outcome_)); }
    void forget_future() noexcept override {
        future_->attach(nullptr);
        future_ = {};
    }

    /// A stop source costs an allocation, so it is made only for a function that takes a token.
    static std::stop_source make_stop() {
        if constexpr (Call::takes_stop_token) return {};
        return std::stop_source(std::nostopstate);
    }

    Ref<ExecutorFuture<Result>> future_;
    std::optional<Call> call_;
    std::stop_source stop_ = make_stop();
    Outcome<Result> outcome_;
};

template <class Function, class... Arguments>
using BoundJobOf = BoundJob<BoundCall<std::decay_t<Function>, std::decay_t<Arguments>...>>;

template <class Function, class... Arguments>
constexpr void require_callable() {
    require_safe_closure<Function>();
    (require_safe_temporary<Arguments>(), ...);
    static_assert(std::is_invocable_v<std::decay_t<Function>, std::decay_t<Arguments>...> ||
                      std::is_invocable_v<std::decay_t<Function>, std::stop_token,
                                          std::decay_t<Arguments>...>,
                  "the function cannot be called with copies of these arguments: wrap an argument "
                  "that it takes by reference in std::ref");
}

template <class Function, class... Arguments>
auto start_job(LoopThreads& threads, Executor& executor, Function&& function,
               Arguments&&... arguments) {
    using Job = BoundJobOf<Function, Arguments...>;
    auto* job =
        new Job(threads, std::forward<Function>(function),
                std::tuple<std::decay_t<Arguments>...>(std::forward<Arguments>(arguments)...));
    auto future = job->future();
    // Before `submit`: the job may run, and end, before `submit` returns.
    threads.add(*job);
    // If the executor throws, the job is dropped and the future is cancelled. The caller gets the
    // exception and never sees the future.
    executor.submit(ExecutorJob(*job));
    return future;
}

template <class Given>
inline constexpr bool is_default_executor = std::is_same_v<std::decay_t<Given>, std::nullptr_t>;

}  // namespace internal

/// Hands `function` to an executor and returns at once. The caller may await the future, or keep
/// it.
///
/// The function is called with copies of the arguments. Like that of `std::jthread`, it gets a
/// `std::stop_token` as its first argument if it can be called with one.
/// Throws: RuntimeError if the executor has been shut down.
/// Cancellation: cancelling the future ends it at once. A job that has not begun never runs; a job
/// that runs learns of the cancellation by its stop token, continues, and its result is dropped.
/// Lifetime: `executor` must live until it has run the job. The destructor of ThreadPoolExecutor
/// waits for that.
/// Python: `loop.run_in_executor`.
template <class Pool, class Function, class... Arguments>
auto EventLoop::run_in_executor(Pool&& executor, Function&& function, Arguments&&... arguments) {
    using PlainPool = std::remove_cvref_t<Pool>;
    check_open("EventLoop::run_in_executor()");
    internal::require_safe_closure<Function>();
    auto& threads = internal::LoopThreads::of(*this);
    if constexpr (internal::is_default_executor<Pool>) {
        internal::require_callable<Function, Arguments...>();
        return internal::start_job(threads, threads.default_executor(),
                                   std::forward<Function>(function),
                                   std::forward<Arguments>(arguments)...);
    } else if constexpr (std::derived_from<PlainPool, Executor>) {
        internal::require_callable<Function, Arguments...>();
        return internal::start_job(threads, executor, std::forward<Function>(function),
                                   std::forward<Arguments>(arguments)...);
    } else {
        static_assert(
            requires { typename PlainPool::RunsInProcesses; },
            "this is not an executor: derive it from asyncio::Executor");
        return executor.start(threads, std::forward<Function>(function),
                              std::forward<Arguments>(arguments)...);
    }
}

inline void EventLoop::set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor) {
    check_open("EventLoop::set_default_executor()");
    internal::LoopThreads::of(*this).set_default_executor(std::move(executor));
}

inline void EventLoop::set_default_executor(ThreadPoolExecutor&& executor) {
    set_default_executor(std::make_shared<ThreadPoolExecutor>(std::move(executor)));
}

inline Coro<void> EventLoop::shutdown_default_executor(std::optional<Delay> limit) {
    check_open("EventLoop::shutdown_default_executor()");
    return internal::LoopThreads::of(*this).shutdown_default_executor(limit);
}

namespace internal {

/// A function that runs in a copy of the context of the task that called `to_thread`. So on its
/// thread it sees the task's context variables.
template <class Function>
class CallInContext {
public:
    explicit CallInContext(Function&& function) : function_(std::move(function)) {}

    template <class... Arguments>
        requires std::is_invocable_v<Function, Arguments...>
    decltype(auto) operator()(Arguments&&... arguments) {
        return context_.run(std::move(function_), std::forward<Arguments>(arguments)...);
    }

    // The name of the function in messages: its type, and for a plain function its address.
    const std::type_info& called() const noexcept { return typeid(Function); }
    const void* code() const noexcept {
        if constexpr (std::is_pointer_v<Function>) {
            return reinterpret_cast<const void*>(function_);
        } else {
            return nullptr;
        }
    }

private:
    Context context_ = copy_context();
    Function function_;
};

template <class Function, class... Arguments>
Coro<typename BoundJobOf<Function, Arguments...>::Result> call_in_thread(Function function,
                                                                         Arguments... arguments) {
    using T = typename BoundJobOf<Function, Arguments...>::Result;
    LoopThreads& threads = LoopThreads::of(face_of(running_task("asyncio::to_thread()").loop()));
    CallInContext<Function> call(std::move(function));
    auto future =
        start_job(threads, threads.default_executor(), std::move(call), std::move(arguments)...);
    Outcome<T> outcome = co_await settle(std::move(future));
    co_return co_await leave_with(outcome);
}

}  // namespace internal

namespace no_adl {

/// Calls `function(arguments...)` on a thread of the loop's default executor, and waits for it.
///
/// Like that of `std::jthread`, the function gets a `std::stop_token` as its first argument if it
/// can be called with one. The function sees the caller's context variables; the caller does not
/// see the variables that the function sets. The job begins when the coroutine is awaited or made a
/// task. If every thread of the executor is busy, the job waits in a queue.
/// Returns the result of the function.
/// Throws: what the function throws; RuntimeError after the shutdown of the default executor.
/// Cancellation: ends the await at once. A job that has not begun never runs; a job that runs
/// learns of the cancellation by its stop token, continues, and its result is dropped.
/// Lifetime: the arguments are copied. An object that is passed by `std::ref` or by pointer must
/// live until the job has ended.
/// Python: `asyncio.to_thread`.
template <class Function, class... Arguments>
auto to_thread(Function&& function, Arguments&&... arguments) {
    internal::require_callable<Function, Arguments...>();
    return internal::call_in_thread<std::decay_t<Function>, std::decay_t<Arguments>...>(
        std::forward<Function>(function), std::forward<Arguments>(arguments)...);
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
