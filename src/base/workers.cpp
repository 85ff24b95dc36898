#include "base/workers.h"

#include <asyncio/exceptions.h>

#include "base/call_stack.h"
#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>
#include <utility>

#include <cxxabi.h>
#include <pthread.h>

namespace asyncio::internal {
namespace {

/// After so long the end of the process tells what it waits for, so that a hanging exit explains
/// itself.
constexpr Duration patience_at_exit = std::chrono::seconds(5);

/// How many forks lie between the first process and this one. Threads of another generation do not
/// exist here.
constinit std::atomic<unsigned> generation{0};

/// The pool whose worker this thread is.
constinit thread_local const Workers* mine = nullptr;

void run_all(WorkerJob* job) noexcept {
    while (job != nullptr) {
        WorkerJob* next = job->next;
        job->run(*job);
        job = next;
    }
}

// --- The end of the process ----------------------------------------------------------------------

/// The pools whose workers have not ended. Lives as long as the process: a worker may look at it
/// after the last static object is gone.
struct AllPools {
    std::mutex mutex;
    std::vector<std::weak_ptr<Workers>> pools;
    unsigned of_generation = 0;
};

AllPools& all_pools();

void warn_of_busy(const Workers& pool, const char* what) {
    for (const std::string& line : pool.busy()) log(LogLevel::warning, what + line);
}

void join_pool(Workers& pool, TimePoint deadline) {
    if (pool.is_left()) return;
    pool.close(nullptr);
    if (!pool.wait_until(std::min(deadline, Clock::now() + patience_at_exit))) {
        warn_of_busy(pool, "the process ends when its worker threads have; waiting for ");
        if (!pool.wait_until(deadline))
            warn_of_busy(pool, "the process ends, and does not wait any longer for ");
    }
    pool.join_or_leave();
}

void join_at_exit() {
    AllPools& all = all_pools();
    if (all.of_generation != generation.load()) return;
    std::vector<std::weak_ptr<Workers>> pools;
    {
        const std::lock_guard lock(all.mutex);
        pools.swap(all.pools);
    }
    const TimePoint deadline = Clock::now() + exit_patience;
    for (const std::weak_ptr<Workers>& weak : pools) {
        if (const std::shared_ptr<Workers> pool = weak.lock()) join_pool(*pool, deadline);
    }
}

/// A fork may come while another thread holds the lock; in the child nobody would give it back.
void keep_usable_after_fork() noexcept {
    ::pthread_atfork([] { all_pools().mutex.lock(); }, [] { all_pools().mutex.unlock(); },
                     [] {
                         generation.fetch_add(1);
                         all_pools().mutex.unlock();
                     });
}

AllPools& all_pools() {
    static AllPools& all = *[] {
        auto* made = new AllPools;
        keep_usable_after_fork();
        std::atexit(&join_at_exit);
        return made;
    }();
    return all;
}

void remember(const std::shared_ptr<Workers>& pool) {
    AllPools& all = all_pools();
    const std::lock_guard lock(all.mutex);
    if (all.of_generation != generation.load()) {
        all.of_generation = generation.load();
        all.pools.clear();
    }
    all.pools.push_back(pool);
}

/// What is left of pools that are gone, this one included if its destructor runs.
void forget_ended() noexcept {
    AllPools& all = all_pools();
    const std::lock_guard lock(all.mutex);
    std::erase_if(all.pools, [](const auto& pool) { return pool.expired(); });
}

std::string seconds_text(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
    return text;
}

}  // namespace

std::string job_name(const std::type_info& called, const void* code) {
    if (code != nullptr) {
        const SourceFrame function = function_at(code);
        if (!function.function.empty()) return to_string(function);
    }
    int status = 0;
    char* demangled = abi::__cxa_demangle(called.name(), nullptr, nullptr, &status);
    std::string name = demangled != nullptr ? demangled : called.name();
    std::free(demangled);
    return name;
}

// --- Jobs come -----------------------------------------------------------------------------------

std::shared_ptr<Workers> Workers::make(std::size_t limit, std::string name) {
    all_pools();
    std::shared_ptr<Workers> pool(new Workers(limit, std::move(name)));
    remember(pool);
    return pool;
}

Workers::Workers(std::size_t limit, std::string name)
    : limit_(limit), name_(std::move(name)), generation_(generation.load()) {}

Workers::~Workers() {
    if (is_forked()) {
        // The handles name threads of the parent, which can be neither joined nor detached here.
        // Empty ones take their places.
        for (Worker& worker : workers_) std::construct_at(&worker.thread);
        return;
    }
    drop_queued();
    join_or_leave();
    forget_ended();
}

bool Workers::is_forked() const noexcept { return generation_ != generation.load(); }

std::size_t Workers::thread_count() const {
    const std::lock_guard lock(mutex_);
    return alive_;
}

void Workers::submit(WorkerJob& job) {
    // Looked at before the mutex: that may have been locked by a thread that is not here.
    if (is_forked()) throw RuntimeError("the threads of this executor did not survive the fork");
    Worker* idle = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) throw RuntimeError("cannot schedule new work after the executor's shutdown");
        if (!idle_.empty()) {
            idle = idle_.back();
            idle_.pop_back();
        } else if (alive_ < limit_) {
            start_worker();
        }
        job.next = nullptr;
        (first_ == nullptr ? first_ : last_queued_->next) = &job;
        last_queued_ = &job;
    }
    if (idle != nullptr) idle->woken.set();
}

/// With the mutex held; the new worker waits for it.
void Workers::start_worker() {
    idle_.reserve(workers_.size() + 1);
    Worker& worker = workers_.emplace_back();
    try {
        worker.name = name_ + "_" + std::to_string(workers_.size() - 1);
        worker.thread =
            std::thread([self = shared_from_this(), &worker]() mutable { self->work(worker); });
        ++alive_;
    } catch (const std::system_error& error) {
        workers_.pop_back();
        if (alive_ == 0)
            throw RuntimeError(std::string("cannot start a worker thread: ") + error.what());
    } catch (const std::bad_alloc&) {
        workers_.pop_back();
        if (alive_ == 0) throw;
    }
}

WorkerJob* Workers::pop_queued() noexcept {
    WorkerJob* job = first_;
    if (job != nullptr) first_ = job->next;
    return job;
}

void Workers::drop_queued() noexcept {
    WorkerJob* job = nullptr;
    {
        const std::lock_guard lock(mutex_);
        job = std::exchange(first_, nullptr);
    }
    while (job != nullptr) {
        WorkerJob* next = job->next;
        job->drop(*job);
        job = next;
    }
}

// --- A worker's life -----------------------------------------------------------------------------

void Workers::work(Worker& worker) noexcept {
    mine = this;
    // The kernel keeps 15 characters.
    ::pthread_setname_np(::pthread_self(), worker.name.substr(0, 15).c_str());
    while (WorkerJob* job = next_job(worker)) job->run(*job);
    leave(worker);
}

/// Sleeps until there is a job; null when the pool is closed and there is none.
WorkerJob* Workers::next_job(Worker& worker) noexcept {
    std::unique_lock lock(mutex_);
    worker.called = nullptr;
    while (first_ == nullptr) {
        if (closed_) return nullptr;
        idle_.push_back(&worker);  // has the room: `start_worker` reserved it
        lock.unlock();
        worker.woken.wait();
        worker.woken.reset();
        lock.lock();
    }
    WorkerJob* job = pop_queued();
    worker.called = job->called;
    worker.code = job->code;
    worker.since = Clock::now();
    return job;
}

void Workers::leave(Worker& worker) noexcept {
    WorkerJob* last = nullptr;
    {
        const std::lock_guard lock(mutex_);
        worker.ended = true;
        if (--alive_ == 0) last = std::exchange(at_end_, nullptr);
        all_ended_.notify_all();
    }
    run_all(last);
}

// --- The end -------------------------------------------------------------------------------------

void Workers::close(WorkerJob* last) noexcept {
    std::vector<Worker*> idle;
    if (last != nullptr) last->next = nullptr;
    if (!is_forked()) {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        idle.swap(idle_);
        if (alive_ > 0 && last != nullptr) {
            last->next = at_end_;
            at_end_ = std::exchange(last, nullptr);
        }
    }
    for (Worker* worker : idle) worker->woken.set();
    run_all(last);
}

bool Workers::have_ended() const noexcept { return alive_ == (mine == this ? 1U : 0U); }

bool Workers::wait_until(TimePoint deadline) noexcept {
    if (is_forked()) return true;
    std::unique_lock lock(mutex_);
    const auto ended = [this] { return have_ended(); };
    if (deadline != never) return all_ended_.wait_until(lock, deadline, ended);
    all_ended_.wait(lock, ended);
    return true;
}

void Workers::join_or_leave() noexcept {
    if (is_forked()) return;
    const std::lock_guard lock(mutex_);
    left_ = true;
    for (Worker& worker : workers_) {
        if (!worker.thread.joinable()) continue;
        // One that has ended needs the mutex no more, and is about to return.
        if (worker.ended && worker.thread.get_id() != std::this_thread::get_id()) {
            worker.thread.join();
        } else {
            worker.thread.detach();
        }
    }
}

bool Workers::is_left() const noexcept {
    if (is_forked()) return true;
    const std::lock_guard lock(mutex_);
    return left_;
}

std::vector<std::string> Workers::busy() const {
    std::vector<std::string> lines;
    if (is_forked()) return lines;
    const std::lock_guard lock(mutex_);
    for (const Worker& worker : workers_) {
        if (worker.called == nullptr) continue;
        lines.push_back("thread " + worker.name + ", busy for " +
                        seconds_text(Clock::now() - worker.since) + " with " +
                        job_name(*worker.called, worker.code));
    }
    return lines;
}

}  // namespace asyncio::internal
