#include <asyncio/executor.h>

#include "base/workers.h"

#include <algorithm>
#include <string>
#include <thread>

namespace asyncio {
namespace {

/// Python's: more threads than processors, since most jobs wait for something; but not more and
/// more.
std::size_t default_worker_count() noexcept {
    return std::min<std::size_t>(32, std::max(1U, std::thread::hardware_concurrency()) + 4);
}

}  // namespace

ThreadPoolExecutor::ThreadPoolExecutor(ThreadPoolOptions options)
    : workers_(internal::Workers::make(options.max_workers != 0 ? options.max_workers
                                                                : default_worker_count(),
                                       std::string(options.thread_name_prefix))) {}

ThreadPoolExecutor::~ThreadPoolExecutor() {
    if (!shut_down_) shutdown();
}

void ThreadPoolExecutor::submit(ExecutorJob job) {
    internal::WorkerJob* given = job.release();
    try {
        workers_->submit(*given);
    } catch (...) {
        job = ExecutorJob(*given);
        throw;
    }
}

void ThreadPoolExecutor::shutdown(ShutdownOptions options) {
    shut_down_ = true;
    workers_->close(nullptr);
    if (options.cancel_futures) workers_->drop_queued();
    if (!options.wait) return;
    workers_->wait_until(internal::never);
    workers_->join_or_leave();
}

std::size_t ThreadPoolExecutor::max_workers() const noexcept { return workers_->limit(); }

std::size_t ThreadPoolExecutor::thread_count() const { return workers_->thread_count(); }

std::vector<std::string> ThreadPoolExecutor::busy() const { return workers_->busy(); }

}  // namespace asyncio
