#pragma once
// A pool of threads for work that may block: the only place in the library that starts threads to
// work for it. The executors run functions of the program in such pools, and the back-ends run
// calls that wait for a disk. So the pool stands below both and knows neither.
//
// Threads are started on demand. A job goes to an idle worker if there is one, else to a new
// worker, and at the limit it waits in the queue. Idle workers are woken last in, first out: the
// worker that slept shortest has the warmest caches. With one worker, jobs run in the order in
// which they came; with several, they begin in that order.
//
// The end. `close` lets no further job in. Queued jobs still run, and each worker leaves when it
// finds the queue empty. A thread that does not end by itself cannot be ended. So code that waits
// for the workers waits with a limit, and can say afterwards which of them are still busy, with
// what, and for how long. Such a thread is then left alone: it owns a share of the pool, and what
// it uses of the pool stays valid.
//
// At its end the process also waits, with a limit, for workers for which the program did not wait,
// since the objects that they use are about to be destroyed. A pool whose jobs use no such objects
// is made with `AtExit::leave`, and the end of the process does not depend on it.
//
// In the child of a fork none of the threads exists. A pool of the parent takes no jobs there.
//
// Thread-safety: all functions, any thread.

#include <asyncio/internal/base/thread_event.h>
#include <asyncio/internal/base/worker_job.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::internal {

class Workers : public std::enable_shared_from_this<Workers> {
public:
    /// What the end of the process does about workers for which the program did not wait.
    enum class AtExit : std::uint8_t {
        /// It waits for them, at most for `exit_patience`.
        wait,
        /// It waits for a moment only, so that jobs which are about to end do so. For jobs that use
        /// nothing of the program.
        leave,
    };

    /// At most `limit` threads, called "name_0", "name_1", ….
    static std::shared_ptr<Workers> make(std::size_t limit, std::string name,
                                         AtExit at_exit = AtExit::wait);
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;
    /// Runs when no worker needs the pool any more: each of them holds a reference while it runs.
    ~Workers();

    std::size_t limit() const noexcept { return limit_; }
    /// From now on at most `limit` threads are started. Threads that exist stay.
    void set_limit(std::size_t limit) noexcept { limit_ = limit; }
    AtExit at_exit() const noexcept { return at_exit_; }
    /// Whether the pool belongs to a process of which this one is a forked child.
    bool is_forked() const noexcept;
    std::size_t thread_count() const;

    /// Queues the job, which a worker will run. Throws: RuntimeError after `close`, in a forked
    /// child, or when no thread can be started and there is none; the job then still belongs to the
    /// caller.
    void submit(WorkerJob& job);

    /// Lets no further jobs in. The last worker that leaves runs `last`; without workers it is run
    /// here. `last` may be null.
    void close(WorkerJob* last) noexcept;
    /// Drops the jobs that no worker has begun.
    void drop_queued() noexcept;

    /// After `close`: waits for the workers' end, at most until `deadline`. True if all have ended.
    /// A worker that calls this does not wait for itself.
    bool wait_until(TimePoint deadline) noexcept;
    /// Joins the workers that have ended. The others are detached, and are not waited for again,
    /// also not at the end of the process.
    void join_or_leave() noexcept;
    bool is_left() const noexcept;

    /// A line for each worker that is busy: its name, for how long, and with what.
    std::vector<std::string> busy() const;

private:
    struct Worker {
        std::string name;
        std::thread thread;
        /// An idle worker sleeps on this.
        ThreadEvent woken;
        bool busy = false;
        // What the job is called, and since when it runs. Copied from the job, which may be
        // destroyed before `busy` is asked.
        const std::type_info* called = nullptr;
        const void* code = nullptr;
        std::string (*text_of_name)(const std::type_info*, const void*) = nullptr;
        TimePoint since{};
        bool ended = false;
    };

    Workers(std::size_t limit, std::string name, AtExit at_exit);

    void start_worker();
    void work(Worker& worker) noexcept;
    WorkerJob* next_job(Worker& worker) noexcept;
    void leave(Worker& worker) noexcept;
    bool have_ended() const noexcept;
    WorkerJob* pop_queued() noexcept;

    std::atomic<std::size_t> limit_;
    const std::string name_;
    const AtExit at_exit_;
    /// The count of forks when the pool was made. Another count means a child of that process.
    const unsigned generation_;
    mutable std::mutex mutex_;
    std::condition_variable all_ended_;
    /// Jobs that no worker has begun, linked through `next`, the oldest first. The second pointer
    /// means nothing while the first is null.
    WorkerJob* first_ = nullptr;
    WorkerJob* last_queued_ = nullptr;
    /// Never shrinks before the end, because the thread of an ended worker is still to be joined. A
    /// deque, because running workers hold references to their elements.
    std::deque<Worker> workers_;
    /// Workers that sleep, the latest last. Has room for all of them.
    std::vector<Worker*> idle_;
    /// Workers that have not left.
    std::size_t alive_ = 0;
    /// The jobs that the last worker runs when it leaves, linked through `next`.
    WorkerJob* at_end_ = nullptr;
    /// No job is accepted any more.
    bool closed_ = false;
    /// `join_or_leave` has run: no thread of the pool is joinable any more.
    bool left_ = false;
};

/// For how long the end of the process waits for workers that were not waited for: 300 seconds, as
/// long as `run` does.
inline constexpr Duration exit_patience = std::chrono::seconds(300);

}  // namespace asyncio::internal
