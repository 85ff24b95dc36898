#include <asyncio/internal/loop_threads.h>

#include <asyncio/executor.h>
#include <asyncio/timeout.h>

#include "base/log.h"
#include "base/thread_sanitizer.h"
#include "base/workers.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::internal {
namespace {

/// Threads that have not ended after so long are named, so that a hanging exit explains itself.
constexpr Duration patience = std::chrono::seconds(5);

}  // namespace

// --- Jobs ----------------------------------------------------------------------------------------

LoopJob::LoopJob(LoopThreads& threads) : loop_(threads.loop()), gate_(threads.loop().gate()) {
    WorkerJob::run = &run_on_thread;
    WorkerJob::drop = &drop_on_thread;
    Ready::run = &run_on_loop;
}

bool LoopJob::step(State from, State to) noexcept {
    tell_release(state_);
    const bool done = state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
    tell_acquire(state_);
    return done;
}

void LoopJob::release() noexcept {
    if (release_reference(references_)) delete this;
}

void LoopJob::run_on_thread(WorkerJob& job) noexcept {
    auto& self = static_cast<LoopJob&>(job);
    if (!self.step(State::queued, State::running)) return self.release();
    self.call();
    self.announce();
}

void LoopJob::drop_on_thread(WorkerJob& job) noexcept {
    auto& self = static_cast<LoopJob&>(job);
    if (!self.step(State::queued, State::running)) return self.release();
    self.fail_dropped();
    self.announce();
}

/// The thread's reference goes to the loop with the job, unless there is nobody to take it.
void LoopJob::announce() noexcept {
    if (!step(State::running, State::done)) return release();
    // Once it is posted the job may be gone, and its gate with it.
    const std::shared_ptr<LoopGate> gate = gate_;
    if (!gate->post(*this)) release();
}

void LoopJob::run_on_loop(Ready& node) noexcept {
    auto& self = static_cast<LoopJob&>(node);
    if (self.LoopJobLink::linked()) {
        self.deliver();
        self.leave_loop();
    }
    self.release();
}

/// The loop's side ends, once. What was the last reference to the future may go here.
void LoopJob::leave_loop() noexcept {
    if (!LoopJobLink::linked()) return;
    LoopJobLink::unlink();
    loop_.expect_wakes(-1);
    forget_future();
    release();
}

void LoopJob::abandon() noexcept {
    if (step(State::queued, State::abandoned)) {
        drop_call();
    } else if (step(State::running, State::abandoned)) {
        request_stop();
    }
    leave_loop();
}

void LoopJob::detach() noexcept { leave_loop(); }

// --- The loop's part -----------------------------------------------------------------------------

LoopThreads& LoopThreads::of(EventLoop& loop) {
    LoopThreads*& threads = loop.threads();
    if (threads == nullptr) threads = new LoopThreads(loop);
    return *threads;
}

LoopThreads::LoopThreads(EventLoop& loop) : loop_(loop) {
    AtShutdown::run = &loop_shuts_down;
    AtClose::run = &loop_closes;
    loop.at_shutdown().push_back(*this);
    loop.at_close().push_back(*this);
}

LoopThreads::~LoopThreads() {
    if (AtShutdown::linked()) AtShutdown::unlink();
    loop_.threads() = nullptr;
}

void LoopThreads::add(LoopJob& job) noexcept {
    jobs_.push_back(job);
    loop_.expect_wakes(1);
}

/// What is posted already, or will be until the gate is shut, is given its turn when the loop drops
/// what is ready. As in Python, jobs that are queued still run; nothing waits for them.
void LoopThreads::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<LoopThreads&>(listener);
    while (!self.jobs_.empty()) static_cast<LoopJob&>(self.jobs_.front()).detach();
    if (self.default_executor_ != nullptr) self.default_executor_->shutdown({.wait = false});
    delete &self;
}

// --- The default executor ------------------------------------------------------------------------

ThreadPoolExecutor& LoopThreads::default_executor() {
    if (is_shut_down_) throw RuntimeError("the default executor has been shut down");
    if (default_executor_ == nullptr) default_executor_ = std::make_shared<ThreadPoolExecutor>();
    return *default_executor_;
}

void LoopThreads::set_default_executor(std::shared_ptr<ThreadPoolExecutor> executor) {
    if (executor == nullptr) throw std::invalid_argument("there is no executor");
    // Dropping the last handle would block the loop until the jobs of the old one have ended.
    if (default_executor_.use_count() == 1) default_executor_->shutdown({.wait = false});
    default_executor_ = std::move(executor);
}

Coro<void> LoopThreads::loop_shuts_down(AtShutdown& listener, Duration limit) {
    return static_cast<LoopThreads&>(listener).shutdown_default_executor(limit);
}

namespace {

void warn_of_busy(const ThreadPoolExecutor& executor, const char* what) {
    std::string names;
    for (const std::string& line : executor.busy()) names += "\n    " + line;
    if (!names.empty()) log(LogLevel::warning, what + names);
}

}  // namespace

/// The loop runs meanwhile, for jobs may wait for it. When the last worker leaves it runs a job
/// that does nothing, and whose future is awaited here.
Coro<void> LoopThreads::shutdown_default_executor(std::optional<Duration> limit) {
    constexpr auto function = "EventLoop::shutdown_default_executor()";
    if (&running_task(function).loop() != &loop_)
        throw RuntimeError(std::string(function) + " is to be awaited in a task of that loop");
    is_shut_down_ = true;
    const auto executor = default_executor_;
    if (executor == nullptr) co_return;
    // What needs memory comes first. Without it the executor stays, and the loop leaves it to
    // itself when it closes.
    using Nothing = BoundJobOf<void (*)()>;
    auto* last = new Nothing(*this, +[] {}, std::tuple<>());
    ExecutorJob job(*last);
    add(*last);
    TimerHandle warning = loop_.call_later(patience, [executor] {
        warn_of_busy(*executor, "shutting down, but these threads are still busy:");
    });
    Coro<> end = wait_for(last->future(), limit);
    default_executor_ = nullptr;
    executor->shutdown({.wait = false});
    executor->workers_->close(job.release());
    Outcome<void> outcome = co_await settle(std::move(end));
    warning.cancel();
    if (outcome.cancelled()) outcome.value();
    if (outcome.failed())
        warn_of_busy(*executor,
                     "these threads have not ended in time, and are left to themselves:");
    executor->workers_->join_or_leave();
}

}  // namespace asyncio::internal
