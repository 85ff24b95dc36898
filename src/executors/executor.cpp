// The public face of a pool of threads. The pool itself is `base/workers.cpp`, which knows
// neither loops nor jobs with results; how a job's result comes back to a loop is in
// `loop_threads.cpp`.
//
// The pool is shared (`shared_ptr`) between this object and its threads. So a thread that does not
// end in time can be left to itself: what it uses of the pool stays valid after this object has
// been destroyed.

#include <asyncio/executor.h>

#include "base/workers.h"
#include "executors/submit_to.h"

#include <algorithm>
#include <string>
#include <thread>

namespace asyncio {
namespace {

/// Python's number: more threads than processors, since most jobs wait for something, but not
/// without limit on a large machine.
std::size_t default_worker_count() noexcept {
    return std::min<std::size_t>(32, std::max(1U, std::thread::hardware_concurrency()) + 4);
}

}  // namespace

ThreadPoolExecutor::ThreadPoolExecutor(ThreadPoolOptions options)
    : workers_(internal::Workers::make(options.max_workers != 0 ? options.max_workers
                                                                : default_worker_count(),
                                       std::string(options.thread_name_prefix))) {}

/// Blocks, as the end of Python's `with ThreadPoolExecutor()` does: jobs may use objects that are
/// destroyed next.
ThreadPoolExecutor::~ThreadPoolExecutor() {
    if (!shut_down_) shutdown();
}

void ThreadPoolExecutor::submit(ExecutorJob job) { internal::submit_to(*workers_, std::move(job)); }

/// The order matters. After `close` no job can be added, so after `drop_queued` only running jobs
/// are left. A job is dropped by cancelling its future, which reaches its loop as any result does.
void ThreadPoolExecutor::shutdown(ShutdownOptions options) {
    shut_down_ = true;
    workers_->close(nullptr);
    if (options.cancel_futures) workers_->drop_queued();
    if (!options.wait) return;
    workers_->wait_until(internal::never);
    workers_->join_or_leave();
}

/// The limit that was given, also while fewer threads exist.
std::size_t ThreadPoolExecutor::max_workers() const noexcept { return workers_->limit(); }

/// Threads are started on demand, so this may be less than the limit.
std::size_t ThreadPoolExecutor::thread_count() const { return workers_->thread_count(); }

/// For reports of an end that hangs: the reader must learn which function delays it.
std::vector<std::string> ThreadPoolExecutor::busy() const { return workers_->busy(); }

}  // namespace asyncio
