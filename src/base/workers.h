#pragma once
// A pool of threads that do what may block: the only place in the library that starts threads to
// work for it.
//
// Threads are started on demand: a job that finds a worker idle is given to that one, else a new
// worker starts, up to the limit, else the job queues. Idle workers are woken last in, first out:
// the one that slept shortest has the warmest caches. Jobs run in the order in which they came, as
// far as there are several workers at all.
//
// The end. `close` lets no further job in; what is queued still runs, and each worker leaves when
// it finds the queue empty. Nobody can end a thread that does not end by itself. So whoever waits
// for the workers waits with a limit, and can say afterwards which of them are still busy, with
// what, and for how long. Such a thread is left to itself: it owns a share of the pool, and what it
// uses of that stays valid.
//
// At the end of the process, workers nobody has waited for are waited for with a limit as well,
// since the objects they use are about to be destroyed.
//
// In the child of a fork none of the threads exists. A pool of the parent takes no jobs there.
//
// Thread-safety: all functions, any thread.

#include <asyncio/internal/thread_event.h>
#include <asyncio/internal/worker_job.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::internal {

class Workers : public std::enable_shared_from_this<Workers> {
public:
    /// At most `limit` threads, called "name_0", "name_1", ….
    static std::shared_ptr<Workers> make(std::size_t limit, std::string name);
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;
    /// Every worker has ended, or was left.
    ~Workers();

    std::size_t limit() const noexcept { return limit_; }
    std::size_t thread_count() const;

    /// Has the job run. Throws: RuntimeError after `close`, in a forked child, or when no thread
    /// can be started and there is none; the job is then still the caller's.
    void submit(WorkerJob& job);

    /// No further jobs. When the last worker leaves it runs `last`; without workers it is run here.
    /// Null: nothing.
    void close(WorkerJob* last) noexcept;
    /// Drops the jobs that no worker has begun.
    void drop_queued() noexcept;

    /// After `close`: waits for the workers' end, at most until `deadline`. True if all have ended.
    /// A worker that calls this does not wait for itself.
    bool wait_until(TimePoint deadline) noexcept;
    /// Joins those that have ended. Those that have not are left to themselves, and nobody, the end
    /// of the process included, waits for them again.
    void join_or_leave() noexcept;
    bool is_left() const noexcept;

    /// A line for each worker that is busy: its name, for how long, and with what.
    std::vector<std::string> busy() const;

private:
    struct Worker {
        std::string name;
        std::thread thread;
        /// What an idle worker sleeps on.
        ThreadEvent woken;
        /// Null while it is idle. The job may be gone when somebody asks, so this is noted apart.
        const std::type_info* called = nullptr;
        const void* code = nullptr;
        TimePoint since{};
        bool ended = false;
    };

    Workers(std::size_t limit, std::string name);

    void start_worker();
    void work(Worker& worker) noexcept;
    WorkerJob* next_job(Worker& worker) noexcept;
    void leave(Worker& worker) noexcept;
    bool have_ended() const noexcept;
    WorkerJob* pop_queued() noexcept;
    bool is_forked() const noexcept;

    const std::size_t limit_;
    const std::string name_;
    const unsigned generation_;
    mutable std::mutex mutex_;
    std::condition_variable all_ended_;
    /// Jobs nobody has begun, linked through `next`, the oldest first.
    WorkerJob* first_ = nullptr;
    WorkerJob* last_queued_ = nullptr;
    /// Never shrinks before the end: an ended worker's thread is still to be joined.
    std::deque<Worker> workers_;
    std::vector<Worker*> idle_;
    std::size_t alive_ = 0;
    /// What the last worker runs when it leaves, linked through `next`.
    WorkerJob* at_end_ = nullptr;
    bool closed_ = false;
    bool left_ = false;
};

/// For how long the end of the process waits for workers nobody has waited for: 300 seconds, as
/// long as `run` does.
inline constexpr Duration exit_patience = std::chrono::seconds(300);

/// What a job is called in messages.
std::string job_name(const std::type_info& called, const void* code);

}  // namespace asyncio::internal
