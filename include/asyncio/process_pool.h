#pragma once
// Calling functions in other processes: `ProcessPoolExecutor`.
//
//   asyncio::ProcessPoolExecutor pool;
//   long sum = co_await loop.run_in_executor(pool, sum_of_squares, 5'000'000);
//
// When to use it. Threads compute as fast, are cheaper to talk to, and share memory. Processes are
// for code that may crash, that leaks memory, or that cannot run twice in one process.
//
// How it works. The processes are this program, started again. The function to run is named by its
// place in the program (`internal/executors/remote_call.h`), so nothing has to be registered. Each
// process has a thread in this program, which gives it jobs and waits for the answers. A job of the
// process pool is therefore a job of a thread pool, and its thread waits for another process: the
// queue, cancellation and shutdown are those of threads.
//
// Processes are started on demand and kept. They end with the pool, and with the program, however
// that ends. When a process crashes, its job ends with BrokenProcessPool, and the next job gets a
// new process.
//
// The state of a process. `main` does not run in it; static objects are initialised as at any start
// of the program. Standard input is empty; standard output and error go where the program's go.
// Ctrl-C is left to the program: the processes ignore it.

#include <asyncio/executor.h>
#include <asyncio/internal/executors/remote_call.h>

#include <memory>
#include <vector>

namespace asyncio {
namespace internal {

class ProcessPool;

/// Sends one call to a process. Returns the bytes of the answer.
/// Throws: BrokenProcessPool; OsError if no process can be started. Any thread of a pool.
std::string call_in_process(const std::shared_ptr<ProcessPool>& pool, std::string_view request,
                            const void* function);

/// The function that the pool's thread runs: sends the request and reads the answer.
template <class Result>
class ProcessCall {
public:
    ProcessCall(std::shared_ptr<ProcessPool> of_pool, std::string bytes,
                const void* called) noexcept
        : pool_(std::move(of_pool)), request_(std::move(bytes)), function_(called) {}

    Result operator()() {
        const std::string answer = call_in_process(pool_, request_, function_);
        [[maybe_unused]] ByteReader reader(read_answer(answer));
        if constexpr (!std::is_void_v<Result>) return reader.take<Result>();
    }
    /// The address of the function that the program gave, so that messages can name it.
    const void* code() const noexcept { return function_; }

private:
    std::shared_ptr<ProcessPool> pool_;
    std::string request_;
    const void* function_;
};

}  // namespace internal

/// How a pool of processes is made.
struct ProcessPoolOptions {
    /// The largest number of processes; 0 means as many as there are processors, as in Python.
    std::size_t max_workers = 0;
    /// A process is replaced after this many jobs; 0 means never. For functions that leak memory.
    std::size_t max_tasks_per_child = 0;
};

/// A pool of processes, for `EventLoop::run_in_executor`.
///
/// The pool calls plain functions, and closures that capture nothing. Arguments and results travel
/// as bytes, so each type needs a `Serializer` (serialize.h). Exceptions of the standard library
/// arrive with their own type, others as RemoteError.
/// Cancellation: cancelling the future ends it at once, as with threads. A job that has not begun
/// never runs. A job that runs continues in its process, and its result is dropped.
/// Thread-safety: any thread.
/// Python: `concurrent.futures.ProcessPoolExecutor`.
class ProcessPoolExecutor {
public:
    /// Makes a pool. The first process is started when the first job comes.
    explicit ProcessPoolExecutor(ProcessPoolOptions options = {});
    ProcessPoolExecutor(const ProcessPoolExecutor&) = delete;
    ProcessPoolExecutor& operator=(const ProcessPoolExecutor&) = delete;
    /// Calls `shutdown()` unless that was done, so it blocks until every job has ended.
    ~ProcessPoolExecutor() = default;

    /// As `ThreadPoolExecutor::shutdown`. The processes end with their threads.
    void shutdown(ShutdownOptions options = {}) { threads_.shutdown(options); }

    /// The largest number of processes.
    std::size_t max_workers() const noexcept { return threads_.max_workers(); }
    /// The process ids of the processes that exist at the moment.
    std::vector<int> process_ids() const;
    /// A line for each busy process, as `ThreadPoolExecutor::busy`.
    std::vector<std::string> busy() const { return threads_.busy(); }

    /// Marks this class for `run_in_executor`: the call is not run as it is, but turned into a
    /// request for a process.
    using RunsInProcesses = void;

private:
    friend EventLoop;

    template <class Function, class... Arguments>
    auto start(internal::LoopThreads& threads, Function&& function, Arguments&&... arguments) {
        using Plain = std::decay_t<Function>;
        static_assert(internal::RemoteCallable<Plain>,
                      "another process cannot call this: give a plain function, or a closure that "
                      "captures nothing and has no auto parameter");
        using Call = typename internal::RemoteSignature<Plain>::Call;
        // A closure without captures has no address. The code that was made for its type calls it,
        // so the address of that code names it.
        const void* code = reinterpret_cast<const void*>(&Call::invoke);
        if constexpr (std::is_pointer_v<Plain>)
            code = reinterpret_cast<const void*>(static_cast<Plain>(function));
        return internal::start_job(
            threads, threads_,
            internal::ProcessCall<typename Call::Result>(
                pool_,
                internal::write_request(&Call::invoke, code, Call::write_arguments(arguments...)),
                code));
    }

    std::shared_ptr<internal::ProcessPool> pool_;
    ThreadPoolExecutor threads_;
};

}  // namespace asyncio
