#pragma once
// Calling functions in other processes: `ProcessPoolExecutor`.
//
//   asyncio::ProcessPoolExecutor pool;
//   long sum = co_await loop.run_in_executor(pool, sum_of_squares, 5'000'000);
//
// The processes are this program, started again: what they run is named by its place in the program
// (internal/process_call.h). They are started on demand, kept, and end with the pool and with the
// program, however that ends. A process that crashes takes one job with it, which gets a
// BrokenProcessPool; the next job gets a new process.
//
// Before anything else: threads compute as fast, are cheaper to talk to, and share memory.
// Processes are for what may crash, leaks, or cannot run twice in one process.
//
// How it works. Each process has a thread of ours that gives it jobs and waits for the answers, so
// a job is one of a thread pool's whose thread happens to wait for another process. Queueing,
// cancellation, shutdown are those of threads.
//
// What the processes do not have: `main` is not run in them; static objects are initialised as in
// any start of the program. Standard input is empty, output goes where the program's goes. Ctrl-C
// is the program's to handle.

#include <asyncio/executor.h>
#include <asyncio/internal/process_call.h>

#include <memory>
#include <vector>

namespace asyncio {
namespace internal {

class ProcessPool;

/// One call. Returns the answer's bytes.
/// Throws: BrokenProcessPool; OsError if no process can be started. Any thread of a pool.
std::string call_in_process(const std::shared_ptr<ProcessPool>& pool, std::string_view request,
                            const void* function);

/// What the pool's thread is given: the call, and how to read its answer.
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
    /// To be called by its name in messages.
    const void* code() const noexcept { return function_; }

private:
    std::shared_ptr<ProcessPool> pool_;
    std::string request_;
    const void* function_;
};

}  // namespace internal

struct ProcessPoolOptions {
    /// 0: as many as there are processors, as in Python.
    std::size_t max_workers = 0;
    /// After so many jobs a process is replaced; 0: never.
    std::size_t max_tasks_per_child = 0;
};

/// A pool of processes, for `EventLoop::run_in_executor`.
///
/// Functions: plain ones, and closures that capture nothing. Arguments and results travel as bytes:
/// each type needs a `Serializer` (serialize.h). Exceptions of the standard library arrive as what
/// they were, others as RemoteError.
/// Cancellation: of the future, as with threads: a job that has not begun never runs, one that runs
/// goes on in its process and is forgotten here.
/// Thread-safety: any thread.
/// Python: `concurrent.futures.ProcessPoolExecutor`.
class ProcessPoolExecutor {
public:
    explicit ProcessPoolExecutor(ProcessPoolOptions options = {});
    ProcessPoolExecutor(const ProcessPoolExecutor&) = delete;
    ProcessPoolExecutor& operator=(const ProcessPoolExecutor&) = delete;
    /// `shutdown()`, unless that has been called: blocks until every job has ended.
    ~ProcessPoolExecutor() = default;

    /// As ThreadPoolExecutor's. The processes end.
    void shutdown(ShutdownOptions options = {}) { threads_.shutdown(options); }

    std::size_t max_workers() const noexcept { return threads_.max_workers(); }
    /// The processes that there are, by their numbers.
    std::vector<int> process_ids() const;
    /// What they do, a line each, as ThreadPoolExecutor's.
    std::vector<std::string> busy() const { return threads_.busy(); }

    /// Tells `run_in_executor` whom it deals with.
    using RunsInProcesses = void;

private:
    friend EventLoop;

    template <class Function, class... Arguments>
    auto start(internal::LoopThreads& threads, Function&& function, Arguments&&... arguments) {
        using Plain = std::decay_t<Function>;
        static_assert(internal::RemoteCallable<Plain>,
                      "another process cannot call this: give a function, or a closure without "
                      "captures whose parameters have types");
        using Call = typename internal::RemoteSignature<Plain>::Call;
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
