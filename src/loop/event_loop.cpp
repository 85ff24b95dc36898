#include <asyncio/event_loop.h>

#include <asyncio/internal/prefetch.h>

#include "base/after_fork.h"
#include "base/log.h"
#include "base/thread_sanitizer.h"
#include "base/timer_heap.h"
#include "loop/callback.h"

#include <array>
#include <cstdint>
#include <utility>

namespace asyncio {
namespace internal {

class TimerHeap final : public BasicTimerHeap<Timer> {};

}  // namespace internal

EventLoop::EventLoop(LoopOptions options)
    : EventLoop(lowlevel::make_backend(options.backend), options) {}

EventLoop::EventLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options)
    : backend_(std::move(backend)),
      timers_(std::make_unique<internal::TimerHeap>()),
      debug_(options.debug.value_or(debug_requested())),
      eager_tasks_(options.eager_tasks) {
    // The loop that ran when a thread forked runs in the parent; in the child, none does.
    [[maybe_unused]] static const bool told =
        (internal::call_in_forked_children([] { internal::here = {}; }), true);
    if (debug_)
        internal::log(LogLevel::debug, std::string("event loop on the back-end ") + backend_name());
}

EventLoop::~EventLoop() {
    close();
    drop_ready();  // what a future of the closed loop has scheduled since
}

// Running.

/// While it lives, this loop is the thread's running loop.
struct EventLoop::RunScope {
    explicit RunScope(EventLoop& loop) : loop_(loop) {
        loop.check_can_run();
        loop.running_ = true;
        internal::here = {};
        internal::here.loop = &loop;
        loop.gate_->set_runner(&internal::here);
        internal::here.stack_limit =
            internal::stack_position() - internal::nested_start_stack_bytes;
    }
    RunScope(const RunScope&) = delete;
    RunScope& operator=(const RunScope&) = delete;
    ~RunScope() {
        loop_.backend_->hand_over();
        internal::here = outer_;
        loop_.gate_->set_runner(nullptr);
        loop_.running_ = false;
        loop_.stopping_ = false;
    }

private:
    EventLoop& loop_;
    /// Something only where a loop is closed inside another one.
    internal::ThreadState outer_ = internal::here;
};

/// Each round is one iteration. This is the event loop.
void EventLoop::run_forever() {
    const RunScope scope(*this);
    // A caller that runs single iterations gets a look at the back-end in each.
    if (stopping_) unobserved_steps_ = steps_between_looks;
    do {
        take_inbox();  // 1. what other threads and signal handlers want
        if (ready_.empty()) {
            // 2. wait, but not past the next deadline; what finished becomes ready
            wait_until_ready();
        } else if (look_is_due()) [[unlikely]] {
            look();
        }
        expire_timers();  // 3. what was due becomes ready, behind it
        // 4. what is ready now runs; what becomes ready meanwhile does not
        if (!ready_.empty()) run_batch();
    } while (!stopping_);
}

inline void EventLoop::take_inbox() noexcept {
    if (inbox_.load(std::memory_order_relaxed) == nullptr) [[likely]]
        return;
    internal::ListNode* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
    internal::tell_acquire(inbox_);
    internal::ListNode* oldest = nullptr;
    while (newest != nullptr) {
        internal::ListNode* older = std::exchange(newest->next, oldest);
        oldest = std::exchange(newest, older);
    }
    while (oldest != nullptr) {
        internal::ListNode* newer = std::exchange(oldest->next, nullptr);
        ready_.push_back(static_cast<internal::Ready&>(*oldest));
        oldest = newer;
    }
}

inline bool EventLoop::look_is_due() noexcept {
    return unobserved_steps_ >= steps_before_look_ &&
           (unobserved_steps_ >= steps_between_looks || backend_->look_is_due());
}

void EventLoop::wait_until_ready() {
    unobserved_steps_ = 0;
    wait(stopping_ ? internal::at_once : timers_->earliest());
}

/// An operation that has finished does not stand behind the others: each of them may compute
/// for as long as it likes.
void EventLoop::look() {
    internal::ReadyList others;
    others.append(ready_);
    unobserved_steps_ = 0;
    wait(internal::at_once);
    finished_.append(ready_);
    ready_.append(others);
}

void EventLoop::wait(TimePoint deadline) {
    lowlevel::OperationList finished;
    if (backend_->wait(deadline, finished) == lowlevel::Backend::Waited::deadlock) [[unlikely]] {
        throw DeadlockError(internal::describe_residents(*this));
    }
    while (!finished.empty()) {
        lowlevel::Operation& operation = finished.pop_front();
        if (--in_flight_ == 0) steps_before_look_ = steps_between_looks;
        operation.on_finished(operation);
    }
}

inline void EventLoop::expire_timers() noexcept {
    if (!timers_->empty()) expire_until(backend_->now());
}

/// By the handful: a timer and its target lie in the frame that waits for it, and neither that nor
/// the task has been touched for as long as it waited. While one is scheduled, the others are
/// fetched.
void EventLoop::expire_until(TimePoint when) noexcept {
    std::array<internal::Timer*, 16> due;
    while (const std::size_t count = timers_->take_due(when, internal::Timer::disarmed, due)) {
        for (std::size_t i = 0; i < count; ++i) {
            internal::prefetch_around(due[i]);
            internal::prefetch_around(due[i]->touched_next);
        }
        for (std::size_t i = 0; i < count; ++i) schedule(*due[i]->target);
    }
}

inline void EventLoop::run_step(internal::Ready& node) {
    node.run(node);
    ++unobserved_steps_;
}

inline void EventLoop::run_batch() {
    internal::ReadyList batch;
    batch.take(ready_);
    ++iterations_;
    if (!finished_.empty()) [[unlikely]] {
        serve_finished(batch);
        if (batch.empty()) return;
    }
    for (;;) {
        run_step(batch.pop_front());
        if (batch.empty()) return;  // the next iteration begins with the same question
        if (look_is_due()) [[unlikely]] {
            look();
            serve_finished(batch);
            if (batch.empty()) return;
        }
    }
}

/// Turn and turn about, so that those who come from the back-end cannot starve the others. When
/// there are no others left in this iteration, the rest of the finished come first in the next one.
void EventLoop::serve_finished(internal::ReadyList& batch) {
    while (!finished_.empty() && !batch.empty()) {
        run_step(finished_.pop_front());
        if (batch.empty()) break;
        run_step(batch.pop_front());
        if (look_is_due()) look();
    }
    finished_.append(ready_);
    ready_.append(finished_);
}

void EventLoop::close() {
    if (running_) throw RuntimeError("EventLoop::close() cannot close a running event loop");
    if (is_closed()) return;
    begin_to_close();
    if (!residents_.empty()) internal::wind_up_residents(*this);
    internal::wind_up_asyncgens(*this);
    collect_operations();
    // From here on no thread can bring anything. What was brought before is in the inbox, and is
    // given its turn with the rest.
    gate_->shut();
    closed_ = true;
    expire_until(internal::never);
    drop_ready();
}

/// Every node is given its turn, so that it is released; a callback that finds the loop closed does
/// not run.
void EventLoop::drop_ready() noexcept {
    take_inbox();
    while (!ready_.empty()) {
        internal::Ready& node = ready_.pop_front();
        node.run(node);
    }
}

/// Every operation is reported before the back-end goes: the memory it uses is the back-end's until
/// then.
void EventLoop::collect_operations() {
    while (!at_close_.empty()) {
        internal::AtClose& listener = at_close_.pop_front();
        listener.run(listener);
    }
    while (in_flight_ > 0) wait(internal::never);
}

void EventLoop::refuse_closed(const char* function) {
    throw RuntimeError(std::string("the event loop is closed: ") + function +
                       " needs one that is open");
}

void EventLoop::check_can_run() const {
    check_open("EventLoop::run_forever() or run_until_complete()");
    if (internal::here.loop == this)
        throw RuntimeError("this event loop is already running: run_forever() or "
                           "run_until_complete() was called inside it");
    if (internal::here.loop != nullptr && !closing_) {
        throw RuntimeError("run_forever() and run_until_complete() cannot run the event loop while "
                           "another one runs on this thread");
    }
}

// Callbacks.

Handle EventLoop::call_soon(internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_soon()");
    check_thread();
    auto* node = new internal::CallbackNode(*this, std::move(callback));
    schedule(*node);
    return Handle(node);
}

TimerHandle EventLoop::call_later(Delay delay, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_later()");
    check_thread();
    return call_at(internal::add_saturating(time(), delay), std::move(callback));
}

TimerHandle EventLoop::call_at(Deadline when, internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_at()");
    check_thread();
    auto* node = new internal::CallbackNode(*this, std::move(callback));
    node->when = when;
    try {
        arm(node->timer, when);
    } catch (...) {
        node->release();
        throw;
    }
    return TimerHandle(node);
}

Handle EventLoop::call_soon_threadsafe(internal::UniqueFunction<void()> callback) {
    check_open("EventLoop::call_soon_threadsafe()");
    auto* node = new internal::CallbackNode(*this, std::move(callback));
    // The handle is made before the node is posted: from then on the loop may run and release it at
    // any moment.
    Handle handle(node);
    // The loop's own thread needs no wake-up, and keeps the order of its callbacks.
    if (internal::here.loop == this) {
        schedule(*node);
    } else if (!post(*node)) {
        node->release();
        // A loop that closes shuts its gate before it says that it is closed.
        refuse_closed("EventLoop::call_soon_threadsafe()");
    }
    return handle;
}

/// For the gate. Any thread.
void EventLoop::take_in(internal::Ready& node) noexcept {
    internal::tell_release(inbox_);
    internal::ListNode* newest = inbox_.load(std::memory_order_relaxed);
    do {
        node.next = newest;
    } while (!inbox_.compare_exchange_weak(newest, &node, std::memory_order_release,
                                           std::memory_order_relaxed));
    // Only who finds the inbox empty wakes the loop: the others come before the loop has taken what
    // that one brought.
    if (newest == nullptr) backend_->wake();
}

void EventLoop::arm(internal::Timer& timer, TimePoint when) { timers_->push(timer, when); }

void EventLoop::disarm(internal::Timer& timer) noexcept {
    if (timer.armed()) timers_->remove(timer, internal::Timer::disarmed);
}

lowlevel::Backend::Submitted EventLoop::submit(lowlevel::Operation& operation) {
    if (operation.state == lowlevel::Operation::State::in_flight) [[unlikely]]
        throw RuntimeError("an operation was submitted that is in flight already");
    const auto submitted = backend_->submit(operation);
    if (submitted == lowlevel::Backend::Submitted::in_flight) {
        ++in_flight_;
        steps_before_look_ = 1;
    }
    return submitted;
}

// Errors.

void EventLoop::call_exception_handler(const ErrorContext& context) noexcept {
    const std::shared_ptr<const ExceptionHandler> handler = exception_handler_;
    if (handler == nullptr) return default_exception_handler(context);
    try {
        (*handler)(*this, context);
    } catch (...) {
        default_exception_handler({.message = "the exception handler itself threw",
                                   .exception = std::current_exception()});
        default_exception_handler(context);
    }
}

void EventLoop::default_exception_handler(const ErrorContext& context) noexcept {
    internal::log(LogLevel::error, context.message, [&context] {
        std::string line(context.message);
        if (!context.task_name.empty()) line += " (" + std::string(context.task_name) + ")";
        if (context.exception != nullptr) line += ": " + describe(context.exception);
        return line;
    });
}

void EventLoop::set_exception_handler(ExceptionHandler handler) {
    exception_handler_ =
        handler ? std::make_shared<const ExceptionHandler>(std::move(handler)) : nullptr;
}

ExceptionHandler EventLoop::get_exception_handler() const {
    return exception_handler_ != nullptr ? *exception_handler_ : ExceptionHandler();
}

void internal::throw_no_loop(const char* function) {
    throw RuntimeError(std::string("no running event loop: ") + function +
                       " is to be called in a coroutine or a callback that a loop runs");
}

}  // namespace asyncio
