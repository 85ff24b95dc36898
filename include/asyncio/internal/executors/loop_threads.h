#pragma once
// A job on another thread and the loop that waits for its result.
//
// A job has two owners, and may outlive either of them. On the thread's side, the worker runs it
// and announces the end. On the loop's side stands a future. Both sides meet in one word, the state
// of the job:
//   queued → running     the worker, before it calls the function
//   queued → abandoned   the loop: the future was cancelled. The function is destroyed, and never
//                        runs; the worker drops the job when it comes to it
//   running → abandoned  the loop: the future was cancelled. The worker continues, because a thread
//                        cannot be stopped from outside, and drops the result
//   running → done       the worker: the result is there. The job is posted to the loop
// The side that makes its last step releases its reference.
//
// The loop may close while jobs run. A thread must not post to a loop that is gone, so threads post
// through the loop's gate (`loop_gate.h`).
//
// Thread-safety: as each function says; loop thread only if it says nothing.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/frame_pool.h>
#include <asyncio/internal/base/worker_job.h>
#include <asyncio/internal/loop/loop_gate.h>

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

    /// The future was cancelled; see "abandoned" above.
    void abandon() noexcept;
    /// As `abandon`, but only if no worker has begun the job. False, and no effect, if one has.
    bool abandon_queued() noexcept;
    /// The loop closes. As `abandon`, but a job that is queued still runs.
    void detach() noexcept;

protected:
    explicit LoopJob(LoopThreads& threads);
    virtual ~LoopJob() = default;

    /// Calls the function, keeps the result, destroys the function. Any thread.
    virtual void call() noexcept = 0;
    /// Destroys the function. Any thread.
    virtual void drop_call() noexcept = 0;
    /// The executor has dropped the function, so the result is a cancellation. Any thread.
    virtual void fail_dropped() noexcept = 0;
    virtual void request_stop() noexcept = 0;
    /// Moves the result into the future.
    virtual void deliver() noexcept = 0;
    /// Drops the reference to the future.
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

/// A loop's jobs on threads, and its default executor. Made with the first job, destroyed when the
/// loop closes.
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
