// A job on a thread and the loop that waits for its result: how they meet, how each can leave
// early, and how the loop's default executor ends. The states of a job are in `loop_threads.h`.
//
// The usual way of a job:
// 1. The loop's thread makes the job, lists it with `LoopThreads::add`, and gives it to an
//    executor.
// 2. A worker takes it (`run_on_thread`): queued → running, the call, running → done.
// 3. The worker posts the job to the loop, through the gate, since the loop may be closing.
// 4. The job's turn in the loop (`run_on_loop`) moves the result into the future. The task that
//    awaits the future runs one iteration later.
// In CPython the result takes the same way: `call_soon_threadsafe`, and then the callback of
// `wrap_future`.
//
// Ownership. A job has two references. The thread's reference is given up when the thread has
// nothing more to do with the job; with the post it goes over to the loop. The loop's reference is
// given up by `leave_loop`, once: when the result was delivered, when the future was cancelled, or
// when the loop closes. A job that stands in the list of the loop's jobs has not been left by the
// loop yet.
//
// The function and its arguments are destroyed before the job, and on a thread that the program can
// predict. This is the worker, as soon as the call has ended. If the future was cancelled before a
// worker had begun, it is the loop's thread. So a captured object never waits for the last
// reference.
//
// The race between the end of the call and a cancellation is decided by one compare-and-swap of the
// state. If the cancellation wins, the worker finds `abandoned` and drops the result. If the worker
// wins, the node is on its way: the future has ended as cancelled by then, and `run_on_loop` finds
// the job unlinked and delivers nothing.
//
// `expect_wakes` tells the back-end that a thread will call in. The simulated world would otherwise
// take a loop that waits for a job for a deadlock, or let its clock jump.
//
// The end. `run` awaits `shutdown_default_executor` when the tasks have ended. `EventLoop::close`
// without `run` does not wait, as in Python: the jobs lose their futures (`detach`), those that are
// queued still run, and the threads are left to the pool.

#include <asyncio/internal/executors/loop_threads.h>

#include <asyncio/executor.h>
#include <asyncio/timeout.h>

#include "base/log.h"
#include "base/thread_sanitizer.h"
#include "base/workers.h"
#include "machine/call_stack.h"

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include <cxxabi.h>

namespace asyncio::internal {
namespace {

/// Threads that have not ended after so long are named, so that a hanging exit explains itself.
constexpr Duration patience_with_jobs = std::chrono::seconds(5);

/// The name of the function if debug information has it, else the type that is called. The type of
/// a lambda names the function in which it stands.
std::string job_name(const std::type_info* called, const void* code) {
    if (code != nullptr) {
        const SourceFrame function = function_at(code);
        if (!function.function.empty()) return to_string(function);
    }
    int status = 0;
    char* demangled = abi::__cxa_demangle(called->name(), nullptr, nullptr, &status);
    std::string name = demangled != nullptr ? demangled : called->name();
    std::free(demangled);
    return name;
}

}  // namespace

// --- Jobs ----------------------------------------------------------------------------------------

/// The gate is kept by reference: a worker that ends after the loop needs it to learn that the loop
/// has gone.
LoopJob::LoopJob(LoopThreads& threads) : loop_(threads.loop()), gate_(threads.loop().gate()) {
    WorkerJob::run = &run_on_thread;
    WorkerJob::drop = &drop_on_thread;
    WorkerJob::name = &job_name;
    Ready::run = &run_on_loop;
}

/// A transition of the state; false if the other side was first. The result of the call was written
/// before and must be visible to the side that sees the new state, hence the order. The two notes
/// are for the thread sanitizer.
bool LoopJob::step(State from, State to) noexcept {
    tell_release(state_);
    const bool done = state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
    tell_acquire(state_);
    return done;
}

/// The last reference may be dropped on either thread. By then the future and the function, which
/// belong to one thread, have gone.
void LoopJob::release() noexcept {
    if (release_reference(references_)) delete this;
}

/// A job that was abandoned while it was queued has lost its function already, so there is only a
/// reference to drop.
void LoopJob::run_on_thread(WorkerJob& job) noexcept {
    auto& self = static_cast<LoopJob&>(job);
    if (!self.step(State::queued, State::running)) return self.release();
    self.call();
    self.announce();
}

/// An executor drops a job that it will never run. The job goes through the same states as one that
/// runs, so that its future ends and no await is left behind.
void LoopJob::drop_on_thread(WorkerJob& job) noexcept {
    auto& self = static_cast<LoopJob&>(job);
    if (!self.step(State::queued, State::running)) return self.release();
    self.fail_dropped();
    self.announce();
}

/// The thread's reference goes to the loop together with the job. If the loop has closed, or the
/// job was abandoned, it is dropped here.
void LoopJob::announce() noexcept {
    if (!step(State::running, State::done)) return release();
    // Once it is posted the job may be destroyed, and its reference to the gate with it.
    const std::shared_ptr<LoopGate> gate = gate_;
    if (!gate->post(*this)) release();
}

/// A job that is not linked was cancelled or detached meanwhile; only the thread's reference is
/// left.
void LoopJob::run_on_loop(Ready& node) noexcept {
    auto& self = static_cast<LoopJob&>(node);
    if (self.LoopJobLink::linked()) {
        self.deliver();
        self.leave_loop();
    }
    self.release();
}

/// The end of the loop's side, once. The last reference to the future may be dropped here.
void LoopJob::leave_loop() noexcept {
    if (!LoopJobLink::linked()) return;
    LoopJobLink::unlink();
    loop_.expect_wakes(-1);
    forget_future();
    release();
}

/// The future was cancelled. Which of the two transitions succeeds depends on the worker; if
/// neither does, the result is on its way and will not be delivered. A function that is running
/// cannot be stopped. It can only be asked to stop.
void LoopJob::abandon() noexcept {
    if (abandon_queued()) return;
    if (step(State::running, State::abandoned)) request_stop();
    leave_loop();
}

/// The worker that comes to the job later finds it abandoned.
bool LoopJob::abandon_queued() noexcept {
    if (!step(State::queued, State::abandoned)) return false;
    drop_call();
    leave_loop();
    return true;
}

/// The state stays as it is, so a job that is queued still runs; the gate then refuses its post.
void LoopJob::detach() noexcept { leave_loop(); }

// --- The loop's part -----------------------------------------------------------------------------

/// Made with the first job: most loops have none, and keep only a null pointer. The object
/// registers for the end of the run and for the close of the loop, and deletes itself at the close.
LoopThreads& LoopThreads::of(EventLoop& loop) {
    LoopThreads*& threads = loop.belongings().threads;
    if (threads == nullptr) threads = new LoopThreads(loop);
    return *threads;
}

/// Registered twice, because a loop may be closed without a run: `at_shutdown` can wait for the
/// threads, `at_close` cannot.
LoopThreads::LoopThreads(EventLoop& loop) : loop_(loop) {
    AtShutdown::run = &loop_shuts_down;
    AtClose::run = &loop_closes;
    loop.belongings().at_shutdown.push_back(*this);
    loop.at_close().push_back(*this);
}

/// A run that ended before its shutdown leaves this object in the list of listeners.
LoopThreads::~LoopThreads() {
    if (AtShutdown::linked()) AtShutdown::unlink();
    loop_.belongings().threads = nullptr;
}

/// Called before the job is given to an executor: a worker may post the result before `submit` has
/// returned.
void LoopThreads::add(LoopJob& job) noexcept {
    jobs_.push_back(job);
    loop_.expect_wakes(1);
}

/// A job that is posted already, or will be until the gate shuts, gets its turn when the loop drops
/// what is ready. As in Python, jobs that are queued still run, and nothing waits for them.
void LoopThreads::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<LoopThreads&>(listener);
    while (!self.jobs_.empty()) static_cast<LoopJob&>(self.jobs_.front()).detach();
    if (self.default_executor_ != nullptr) self.default_executor_->shutdown({.wait = false});
    delete &self;
}

// --- The default executor ------------------------------------------------------------------------

/// A pool costs nothing until its first job, since its threads are started on demand.
ThreadPoolExecutor& LoopThreads::default_executor() {
    if (is_shut_down_) throw RuntimeError("the default executor has been shut down");
    if (default_executor_ == nullptr) default_executor_ = std::make_shared<ThreadPoolExecutor>();
    return *default_executor_;
}

void LoopThreads::set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor) {
    if (executor == nullptr) throw std::invalid_argument("the executor is null");
    // If this is the last handle of the old executor, dropping it would block the loop until the
    // jobs of that executor have ended.
    if (default_executor_.use_count() == 1) default_executor_->shutdown({.wait = false});
    default_executor_ = std::move(executor);
}

Coro<void> LoopThreads::loop_shuts_down(AtShutdown& listener, Duration limit) {
    return static_cast<LoopThreads&>(listener).shutdown_default_executor(limit);
}

namespace {

/// Silent if no thread is busy: the pool may have ended while the warning was on its way.
void warn_of_busy(const ThreadPoolExecutor& executor, const char* what) {
    std::string names;
    for (const std::string& line : executor.busy()) names += "\n    " + line;
    if (!names.empty()) log(LogLevel::warning, what + names);
}

}  // namespace

/// Ends the default executor, at most for `limit`, while the loop runs: a job may itself wait for
/// the loop (`run_coroutine_threadsafe`), so blocking here could wait for ever. When the last
/// worker leaves, it runs a job that does nothing; the future of that job is what this coroutine
/// awaits. So the end of a pool comes back to the loop the same way as any result.
///
/// Threads that are still busy after the limit are named and left to themselves. A thread cannot be
/// ended from outside.
Coro<void> LoopThreads::shutdown_default_executor(std::optional<Duration> limit) {
    constexpr auto function = "EventLoop::shutdown_default_executor()";
    if (&running_task(function).loop() != &loop_)
        throw RuntimeError(std::string(function) + " must be awaited in a task of that loop");
    is_shut_down_ = true;
    const auto executor = default_executor_;
    if (executor == nullptr) co_return;
    // Everything that needs memory comes first. Without memory the executor stays as it is, and the
    // loop leaves it to itself when it closes.
    using Nothing = BoundJobOf<void (*)()>;
    auto* last = new Nothing(*this, +[] {}, std::tuple<>());
    ExecutorJob job(*last);
    add(*last);
    TimerHandle warning = loop_.call_later(patience_with_jobs, [executor] {
        warn_of_busy(*executor, "shutting down, but these threads are still busy:");
    });
    Coro<> end = wait_for(last->future(), limit);
    // From here on nothing fails. The pool is closed twice: the second call brings the last job,
    // which runs on this thread at once if the pool has no worker left.
    default_executor_ = nullptr;
    executor->shutdown({.wait = false});
    executor->workers_->close(job.release());
    Outcome<void> outcome = co_await settle(std::move(end));
    warning.cancel();
    // A cancellation of this coroutine is thrown; the pool is closed by then, and ends by itself.
    // Any other failure is the limit's TimeoutError.
    if (outcome.cancelled()) outcome.value();
    if (outcome.failed())
        warn_of_busy(*executor, "these threads have not ended in time and still run:");
    executor->workers_->join_or_leave();
}

}  // namespace asyncio::internal
