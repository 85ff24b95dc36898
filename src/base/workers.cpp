// The pool of worker threads: how a job finds a thread, and how the threads end.
//
// A job's way. `submit` puts the job into the queue and wakes one idle worker, or starts one, or
// does neither when all are busy and the limit is reached. The job is always queued, never handed
// to a particular worker. So a worker that finishes at that moment may take it before the woken
// worker runs. The woken worker then finds the queue empty and sleeps again. No job depends on one
// thread.
//
// An idle worker sleeps on an event of its own and not on a shared condition variable. The pool can
// then choose which worker to wake (the one with the warmest caches), and the wake-up happens
// outside the mutex, so that the woken worker does not run into a locked one. The pool takes a
// worker off the idle list before it sets the worker's event, so an event is set once per sleep.
//
// Owners. Each worker's thread holds a reference to the pool, in the closure that it runs. The pool
// therefore lives until its last worker has left, even if the program has dropped the executor and
// does not wait. The `Worker` objects live in the pool and are never removed while it lives. A job
// belongs to the pool from `submit` until a worker calls `run`, or `drop_queued` calls `drop`;
// neither is touched after that call.
//
// The end, step by step
//
//  1. `close` refuses new jobs and wakes all idle workers.
//  2. Each worker finishes the queue, marks itself as ended, and leaves. The last one runs the
//     `last` job, outside the mutex.
//  3. `wait_until` waits for the count of living workers, with a limit.
//  4. `join_or_leave` joins the threads that have ended and detaches the others. Joining does not
//     block for long: `ended` is set in the worker's last section under the mutex.
//
// The end of the process. A function registered with atexit(3) waits for all pools that are left.
// The reason is order: static objects that were made before the first pool are destroyed after it,
// and a worker may be using them. (Python's `concurrent.futures.thread` has such a function, too.)
// The list of pools holds weak references, so it keeps no pool alive, and the list itself is never
// destroyed.
//
// After a fork the child has none of the threads, and perhaps a locked mutex. Every function first
// compares the count of forks (`is_forked`) and touches nothing of a pool from another process.
// Joining or detaching is not possible there either, so the destructor only makes the handles
// empty.

#include "base/workers.h"

#include <asyncio/exceptions.h>

#include "base/after_fork.h"
#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>
#include <utility>

#include <pthread.h>

namespace asyncio::internal {
namespace {

/// After this time the end of the process says what it waits for, so that a program that hangs at
/// its exit explains itself.
constexpr Duration patience_at_exit = std::chrono::seconds(5);

/// For how long the end of the process waits for a pool whose jobs use nothing of the program: long
/// enough for a job that is about to end, and too short for a user to notice.
constexpr Duration moment_at_exit = std::chrono::milliseconds(250);

/// How many forks lie between the first process of the program and this one. Threads of another
/// generation do not exist here.
constinit std::atomic<unsigned> generation{0};

/// The pool to which this thread belongs; null outside workers. A worker that waits for its own
/// pool must not wait for itself.
constinit thread_local const Workers* mine = nullptr;

/// The link is read first: a job may be destroyed by its `run`.
void run_all(WorkerJob* job) noexcept {
    while (job != nullptr) {
        WorkerJob* next = job->next;
        job->run(*job);
        job = next;
    }
}

// --- The end of the process ----------------------------------------------------------------------

/// The pools whose workers have not ended. Never destroyed: a worker may look at it after the last
/// static object is gone.
struct AllPools {
    std::mutex mutex;
    /// Weak references: the list does not keep the pools alive.
    std::vector<std::weak_ptr<Workers>> pools;
    /// The generation that filled the list. A child starts with an empty one.
    unsigned of_generation = 0;
};

AllPools& all_pools();

void warn_of_busy(const Workers& pool, const char* what) {
    for (const std::string& line : pool.busy()) log(LogLevel::warning, what + line);
}

/// Waits in two parts, with a warning between them. A pool that was left already is not waited for:
/// the program has decided that before.
void join_pool(Workers& pool, TimePoint deadline) {
    if (pool.is_left()) return;
    pool.close(nullptr);
    if (pool.at_exit() == Workers::AtExit::leave) {
        pool.wait_until(std::min(deadline, Clock::now() + moment_at_exit));
    } else if (!pool.wait_until(std::min(deadline, Clock::now() + patience_at_exit))) {
        warn_of_busy(pool, "the process waits for its worker threads before it ends: ");
        if (!pool.wait_until(deadline))
            warn_of_busy(pool, "the process ends without waiting any longer for ");
    }
    pool.join_or_leave();
}

/// A single deadline for all pools. The list is taken out first, because a pool that ends
/// removes itself from it under the same mutex.
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

/// The first call prepares fork and exit. atexit(3) runs in reverse order of registration, so
/// static objects that are made before the first pool outlive its workers.
AllPools& all_pools() {
    static AllPools& all = *[] {
        auto* made = new AllPools;
        call_in_forked_children([] { generation.fetch_add(1); });
        lock_across_forks([] { all_pools().mutex.lock(); }, [] { all_pools().mutex.unlock(); });
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

/// Removes the entries of pools that are gone, this one included if its destructor runs.
void forget_ended() noexcept {
    AllPools& all = all_pools();
    const std::lock_guard lock(all.mutex);
    std::erase_if(all.pools, [](const auto& pool) { return pool.expired(); });
}

/// To a tenth of a second, for messages.
std::string seconds_text(Duration duration) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
    return text;
}

}  // namespace

// --- Jobs come -----------------------------------------------------------------------------------

/// `all_pools` comes first: if it throws, there is no pool that the exit does not know.
std::shared_ptr<Workers> Workers::make(std::size_t limit, std::string name, AtExit at_exit) {
    all_pools();
    std::shared_ptr<Workers> pool(new Workers(limit, std::move(name), at_exit));
    remember(pool);
    return pool;
}

Workers::Workers(std::size_t limit, std::string name, AtExit at_exit)
    : limit_(limit), name_(std::move(name)), at_exit_(at_exit), generation_(generation.load()) {}

Workers::~Workers() {
    if (is_forked()) {
        // The handles name threads of the parent, which can be neither joined nor detached here,
        // and the destructor of a joinable handle ends the process. So empty handles are made in
        // their places.
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
    // Asked before the mutex is taken: another thread of the parent may have held it during the
    // fork.
    if (is_forked())
        throw RuntimeError(
            "this executor was made before fork(); its threads do not exist in the child process");
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
    // After the mutex is released, so that the worker does not wake only to wait for it.
    if (idle != nullptr) idle->woken.set();
}

/// Called with the mutex held, for which the new worker then waits. A failure matters only if there
/// is no worker at all: otherwise the job waits for one that exists.
void Workers::start_worker() {
    Worker& worker = workers_.emplace_back();
    try {
        // So that `next_job`, which is `noexcept`, can put any worker onto the list.
        idle_.reserve(workers_.size());
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

/// The second pointer of the queue stays: it means nothing while the first one is null.
WorkerJob* Workers::pop_queued() noexcept {
    WorkerJob* job = first_;
    if (job != nullptr) first_ = job->next;
    return job;
}

/// The jobs are dropped outside the mutex: `drop` is the job's own code and may call the pool.
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

/// A worker's life. Errors of jobs do not come here: `run` is `noexcept` and keeps them as the
/// job's result.
void Workers::work(Worker& worker) noexcept {
    mine = this;
    // The kernel keeps 15 characters, and refuses longer names altogether.
    ::pthread_setname_np(::pthread_self(), worker.name.substr(0, 15).c_str());
    while (WorkerJob* job = next_job(worker)) job->run(*job);
    leave(worker);
}

/// Sleeps until there is a job; null when the pool is closed and there is none. The loop also
/// handles a wake-up for a job that another worker has taken.
WorkerJob* Workers::next_job(Worker& worker) noexcept {
    std::unique_lock lock(mutex_);
    worker.busy = false;
    while (first_ == nullptr) {
        if (closed_) return nullptr;
        idle_.push_back(&worker);  // has the room: `start_worker` reserved it
        lock.unlock();
        worker.woken.wait();
        worker.woken.reset();
        lock.lock();
    }
    WorkerJob* job = pop_queued();
    // Noted here and not read later: the job may be gone when `busy` is asked.
    worker.busy = true;
    worker.called = job->called;
    worker.code = job->code;
    worker.text_of_name = job->name;
    worker.since = Clock::now();
    return job;
}

/// The last thing that a worker does with the pool. `ended` and the count change together under the
/// mutex, so a thread that sees the count at zero may join. The `last` job runs outside the mutex,
/// because it is foreign code.
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

/// May be called again, also with another `last`. If workers are alive, the last of them runs it;
/// if not, it runs here, in the caller's thread.
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

/// If the caller is a worker of this pool, it is alive itself and is not counted.
bool Workers::have_ended() const noexcept { return alive_ == (mine == this ? 1U : 0U); }

/// A deadline of `never` is no point in time: the condition variable would overflow it. So there
/// are two waits.
bool Workers::wait_until(TimePoint deadline) noexcept {
    if (is_forked()) return true;
    std::unique_lock lock(mutex_);
    const auto ended = [this] { return have_ended(); };
    if (deadline != never) return all_ended_.wait_until(lock, deadline, ended);
    all_ended_.wait(lock, ended);
    return true;
}

/// With the mutex held throughout. A worker that has set `ended` does not take the mutex again, so
/// joining it here cannot deadlock.
void Workers::join_or_leave() noexcept {
    if (is_forked()) return;
    const std::lock_guard lock(mutex_);
    left_ = true;
    for (Worker& worker : workers_) {
        if (!worker.thread.joinable()) continue;
        // A worker that has ended does not need the mutex any more, and is about to return. A
        // worker cannot join itself, so it is detached.
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

/// Reads the names under the mutex, under which the workers write them.
std::vector<std::string> Workers::busy() const {
    std::vector<std::string> lines;
    if (is_forked()) return lines;
    const std::lock_guard lock(mutex_);
    for (const Worker& worker : workers_) {
        if (!worker.busy) continue;
        const bool named = worker.text_of_name != nullptr;
        lines.push_back("thread " + worker.name + ", busy for " +
                        seconds_text(Clock::now() - worker.since) + " with " +
                        (named ? worker.text_of_name(worker.called, worker.code) : "a job"));
    }
    return lines;
}

}  // namespace asyncio::internal
