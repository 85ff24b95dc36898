#pragma once
// How a job on another thread and the loop that waits for it come together, and come apart.
//
// A job has two owners, and may outlive either. On the thread's side the worker runs it and
// announces the end; on the loop's side stands a future. Where they meet is one word, the job's
// state:
//   queued    → running    the worker, before it calls the function
//   queued    → abandoned  the loop: the future was cancelled. The function is destroyed, and never
//                          runs; the worker drops the job when it comes to it
//   running   → abandoned  the loop: the future was cancelled. The worker goes on, for nobody can
//                          stop it, and drops the result
//   running   → done       the worker: the result is there. The job is posted to the loop
// Whoever makes the last step of its side releases that side's reference.
//
// The loop may close while jobs run. A thread must not post to a loop that is gone, so threads post
// through the loop's gate (`loop_gate.h`).
//
// Thread-safety: as each function says; loop thread only if it says nothing.

#include <asyncio/event_loop.h>
#include <asyncio/internal/frame_pool.h>
#include <asyncio/internal/loop_gate.h>
#include <asyncio/internal/worker_job.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace asyncio {

class ThreadPoolExecutor;

namespace internal {

struct LoopJobLink : ListNode {};

/// A job whose result a loop waits for, whatever it returns.
class LoopJob : public WorkerJob, public Ready, public LoopJobLink, public Pooled {
public:
    LoopJob(const LoopJob&) = delete;
    LoopJob& operator=(const LoopJob&) = delete;

    /// The loop's side loses its interest: see "abandoned".
    void abandon() noexcept;
    /// The loop closes: as `abandon`, but what is queued still runs.
    void detach() noexcept;

protected:
    explicit LoopJob(LoopThreads& threads);
    virtual ~LoopJob() = default;

    /// Calls the function, keeps the result, destroys the function. Any thread.
    virtual void call() noexcept = 0;
    /// Destroys the function. Any thread.
    virtual void drop_call() noexcept = 0;
    /// The function was dropped by an executor, so the result is a cancellation. Any thread.
    virtual void fail_dropped() noexcept = 0;
    virtual void request_stop() noexcept = 0;
    /// The result goes to the future.
    virtual void deliver() noexcept = 0;
    /// Lets go of the future.
    virtual void forget_future() noexcept = 0;

private:
    enum class State : std::uint8_t { queued, running, abandoned, done };

    static void run_on_thread(WorkerJob& job) noexcept;
    static void drop_on_thread(WorkerJob& job) noexcept;
    static void run_on_loop(Ready& node) noexcept;

    bool step(State from, State to) noexcept;
    void announce() noexcept;
    void leave_loop() noexcept;
    void release() noexcept;

    EventLoop& loop_;
    std::shared_ptr<LoopGate> gate_;
    std::atomic<State> state_{State::queued};
    std::atomic<std::uint8_t> references_{2};
};

/// What a loop has to do with threads. Made when the first job comes, gone when the loop closes.
class LoopThreads final : AtShutdown, AtClose {
public:
    static LoopThreads& of(EventLoop& loop);

    EventLoop& loop() const noexcept { return loop_; }
    /// Made when it is first asked for. Throws: RuntimeError after its shutdown.
    ThreadPoolExecutor& default_executor();
    void set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor);
    Coro<void> shutdown_default_executor(std::optional<Duration> limit);

    /// The loop waits for the job from now on.
    void add(LoopJob& job) noexcept;

private:
    explicit LoopThreads(EventLoop& loop);
    ~LoopThreads();

    static Coro<void> loop_shuts_down(AtShutdown& listener, Duration limit);
    static void loop_closes(AtClose& listener) noexcept;

    EventLoop& loop_;
    /// The jobs whose futures wait.
    IntrusiveList<LoopJobLink> jobs_;
    std::shared_ptr<ThreadPoolExecutor> default_executor_;
    bool is_shut_down_ = false;
};

}  // namespace internal
}  // namespace asyncio
