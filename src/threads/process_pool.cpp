#include <asyncio/process_pool.h>

#include "base/call_stack.h"
#include "base/workers_process.h"
#include "threads/process_worker.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

namespace asyncio {
namespace internal {

/// Which processes a pool has.
class ProcessPool {
public:
    explicit ProcessPool(std::size_t jobs_per_process) noexcept
        : jobs_per_process_(jobs_per_process) {
        require_worker_hook();
    }

    /// 0: without limit.
    std::size_t jobs_per_process() const noexcept { return jobs_per_process_; }

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

/// The process of one of the pool's threads.
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

/// A process belongs to the thread that started it, and ends with that. A pool's thread serves no
/// other pool.
thread_local std::optional<OwnProcess> own;

}  // namespace

std::string call_in_process(const std::shared_ptr<ProcessPool>& pool, std::string_view request,
                            const void* function) {
    // One that has ended while it was idle has had no job that could be lost.
    if (own && (own->is_spent() || !(*own)->is_there())) own.reset();
    if (!own) own.emplace(pool);
    own->count_job();
    std::optional<std::string> answer;
    try {
        answer = (*own)->ask(request);
    } catch (const std::bad_alloc&) {
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

ProcessPoolExecutor::ProcessPoolExecutor(ProcessPoolOptions options)
    : pool_(std::make_shared<internal::ProcessPool>(options.max_tasks_per_child)),
      threads_({.max_workers = options.max_workers != 0
                                   ? options.max_workers
                                   : std::max(1U, std::thread::hardware_concurrency()),
                .thread_name_prefix = "asyncio-proc"}) {}

std::vector<int> ProcessPoolExecutor::process_ids() const { return pool_->pids(); }

}  // namespace asyncio
