// Worker processes: one for each thread of a pool, started when its thread has its first job.
//
// A thread gives each job to its process and blocks until the answer comes. So queueing, limits,
// cancellation before the start, and the way of the result back to the loop are those of a thread
// pool, and nothing of that is written a second time. A blocked thread costs a stack that is hardly
// touched; a process costs far more.
//
// The process belongs to the thread (`thread_local`). It ends with the thread, or after
// `max_tasks_per_child` jobs, or when it has failed. A process that ends during a job makes that
// job fail with BrokenProcessPool; the next job gets a new process. (In Python the whole pool is
// broken then.)
//
// A job that is running cannot be cancelled: the await ends, and the result is dropped when it
// comes.

#include <asyncio/process_pool.h>

#include "executors/worker_main.h"
#include "executors/worker_process.h"
#include "machine/call_stack.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

namespace asyncio {
namespace internal {

/// The processes of a pool, for `process_ids`, and its limit of jobs. Shared by the pool and its
/// threads, since a thread may outlive the pool.
class ProcessPool {
public:
    /// Every program that makes a pool needs the hook before `main` (`worker_main.cpp`).
    explicit ProcessPool(std::size_t jobs_per_process) noexcept
        : jobs_per_process_(jobs_per_process) {
        require_worker_hook();
    }

    /// 0: without limit.
    std::size_t jobs_per_process() const noexcept { return jobs_per_process_; }

    /// The threads add and remove their processes, and the program asks from its own thread: hence
    /// the mutex.
    void add(int pid) {
        const std::lock_guard lock(mutex_);
        pids_.push_back(pid);
    }
    void remove(int pid) noexcept {
        const std::lock_guard lock(mutex_);
        std::erase(pids_, pid);
    }
    std::vector<int> pids() const {
        const std::lock_guard lock(mutex_);
        return pids_;
    }

private:
    const std::size_t jobs_per_process_;
    mutable std::mutex mutex_;
    std::vector<int> pids_;
};

namespace {

/// The process of one of the pool's threads, from its start to its end. The pool lists its number
/// as long as it lives. Starting the process may throw; the object does not exist then.
class OwnProcess {
public:
    explicit OwnProcess(std::shared_ptr<ProcessPool> pool)
        : pool_(std::move(pool)), pid_(process_.pid()) {
        pool_->add(pid_);
    }
    OwnProcess(const OwnProcess&) = delete;
    OwnProcess& operator=(const OwnProcess&) = delete;
    ~OwnProcess() { pool_->remove(pid_); }

    WorkerProcess* operator->() noexcept { return &process_; }
    int pid() const noexcept { return pid_; }
    bool is_spent() const noexcept {
        return pool_->jobs_per_process() != 0 && jobs_ >= pool_->jobs_per_process();
    }
    void count_job() noexcept { ++jobs_; }

private:
    std::shared_ptr<ProcessPool> pool_;
    WorkerProcess process_;
    int pid_;
    std::size_t jobs_ = 0;
};

/// A process belongs to the thread that started it, and ends with the thread. A thread serves one
/// pool only, so one variable is enough.
thread_local std::optional<OwnProcess> own;

}  // namespace

/// Runs on a thread of the pool. Returns the bytes of the answer. The thread blocks in `ask` until
/// the process has answered or has ended.
std::string call_in_process(const std::shared_ptr<ProcessPool>& pool, std::string_view request,
                            const void* function) {
    // A process that has ended while it was idle has lost no job, so it is replaced without an
    // error.
    if (own && (own->is_spent() || !(*own)->is_there())) own.reset();
    if (!own) own.emplace(pool);
    // Counted before the answer: a job that ends the process was a job too.
    own->count_job();
    std::optional<std::string> answer;
    try {
        answer = (*own)->ask(request);
    } catch (const std::bad_alloc&) {
        // The answer has not been read, so the channel cannot be used again.
        own.reset();
        throw;
    }
    if (answer) return *std::move(answer);
    const std::string end = "worker process " + std::to_string(own->pid()) + " " +
                            (*own)->describe_end() + " while it ran " +
                            to_string(function_at(function));
    own.reset();
    throw BrokenProcessPool(end);
}

}  // namespace internal

/// By default there is a process for each processor, and not more as with threads: jobs for
/// processes compute.
ProcessPoolExecutor::ProcessPoolExecutor(ProcessPoolOptions options)
    : pool_(std::make_shared<internal::ProcessPool>(options.max_tasks_per_child)),
      threads_({.max_workers = options.max_workers != 0
                                   ? options.max_workers
                                   : std::max(1U, std::thread::hardware_concurrency()),
                .thread_name_prefix = "asyncio-proc"}) {}

std::vector<int> ProcessPoolExecutor::process_ids() const { return pool_->pids(); }

}  // namespace asyncio
