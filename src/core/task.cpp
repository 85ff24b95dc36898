#include <asyncio/task.h>

#include <asyncio/context.h>
#include <asyncio/internal/cancel_mask.h>

#include "base/call_stack.h"
#include "base/log.h"
#include "loop/step_watch.h"

#include <atomic>
#include <charconv>
#include <span>

namespace asyncio {
namespace internal {
namespace {

/// Names are unique in the process, as in Python, so a log of two loops can be read. A thread takes
/// its numbers by the thousand, for an atomic addition costs as much as a third of a task's life.
std::uint64_t next_task_number() noexcept {
    constexpr std::uint64_t block = 1000;
    static constinit std::atomic<std::uint64_t> numbers_taken{0};
    static constinit thread_local std::uint64_t last = 0;

    if (last % block == 0) last = numbers_taken.fetch_add(block, std::memory_order_relaxed);
    return ++last;
}

}  // namespace

TaskCore::TaskCore(EventLoop& loop, std::coroutine_handle<> outermost, const TaskOptions& options)
    : outermost_(outermost),
      point_(outermost),
      context_(options.context != nullptr ? options.context->state() : current_context().copy()),
      name_(options.name.empty() ? nullptr : std::make_unique<std::string>(options.name)),
      number_(next_task_number()) {
    run = &first_step;
    loop.residents().push_back(*this);
    loop.schedule(*this);
}

EventLoop& TaskCore::loop() noexcept { return future().loop(); }

std::string TaskCore::name() const { return name_ ? *name_ : "Task-" + std::to_string(number_); }

/// As `name`, without an allocation.
std::size_t TaskCore::write_name(std::span<char> text) const noexcept {
    if (name_) return name_->copy(text.data(), text.size());
    constexpr std::string_view prefix = "Task-";
    if (text.size() < prefix.size()) return 0;
    prefix.copy(text.data(), prefix.size());
    char* const digits = text.data() + prefix.size();
    const std::to_chars_result end = std::to_chars(digits, text.data() + text.size(), number_);
    return static_cast<std::size_t>(end.ptr - text.data());
}

// Steps.

void TaskCore::first_step(Ready& ready) noexcept {
    auto& self = static_cast<TaskCore&>(ready);
    self.run = &step;
    if (self.must_cancel_) [[unlikely]] {
        here.task = &self;
        here.context = &self.context_;
        return self.end(&TaskCore::complete_unstarted);
    }
    self.run_step();
}

void TaskCore::start_eagerly() noexcept {
    if (here.loop != &loop() || stack_position() < here.stack_limit) return;
    Ready::unlink();
    TaskCore* const creator = here.task;
    ContextRef* const context_of_creator = here.context;
    run = &step;
    here.task = this;
    here.context = &context_;
    resume(point_);
    if (outermost_.done()) end(&TaskCore::complete);
    here.task = creator;
    here.context = context_of_creator;
}

namespace {

/// For the watch over slow steps, in a signal handler: the task and its name are the thread's own,
/// and a name is changed by exchanging a pointer.
std::size_t write_running_task(std::span<char> text) noexcept {
    const TaskCore* const task = here.task;
    if (task == nullptr) return StepWatch::write(text, "a task");
    const std::size_t prefix = StepWatch::write(text, "the task ");
    return prefix + task->write_name(text.subspan(prefix));
}

}  // namespace

void TaskCore::step(Ready& ready) noexcept { static_cast<TaskCore&>(ready).run_step(); }

inline void TaskCore::run_step() noexcept {
    if (here.loop->get_debug()) [[unlikely]]
        return run_watched();
    here.task = this;
    here.context = &context_;
    parked_ = nullptr;
    resume(point_);
    if (outermost_.done()) return end(&TaskCore::complete);
    here.task = nullptr;
    here.context = nullptr;
}

void TaskCore::run_watched() noexcept {
    const Ref<FutureBase> alive = Ref<FutureBase>::share(&future());
    const StepWatch watch(*here.loop, &write_running_task);
    here.task = this;
    here.context = &context_;
    parked_ = nullptr;
    resume(point_);
    watch.end([this] { return "the task " + name(); });
    if (outermost_.done()) return end(&TaskCore::complete);
    here.task = nullptr;
    here.context = nullptr;
}

/// The frame is destroyed while this is still the running task: destructors of arguments belong to
/// it.
void TaskCore::end(void (TaskCore::*completion)() noexcept) noexcept {
    innermost_ = nullptr;
    Resident::unlink();
    (this->*completion)();
    here.task = nullptr;
    here.context = nullptr;
    future().release();  // the loop's reference
}

// Cancellation.

bool TaskCore::cancel(std::string_view message, const CancelMask* asked_under) {
    FutureBase& self = future();
    self.loop().check_thread();
    if (self.done()) {
        self.mark_retrieved();
        return false;
    }
    if (mask_ != asked_under && mask_ != nullptr) [[unlikely]] {
        hold_back(message, asked_under);
        return true;
    }
    ++requests_;
    self.set_cancel_message(message);
    must_cancel_ = true;
    by_itself_ = here.task == this;
    if (parked_ != nullptr) abort_wait_now();
    return true;
}

/// The request stands; sees whether the wait in progress can deliver it.
void TaskCore::abort_wait_now() {
    using Abort = lowlevel::Waiter::Abort;
    FutureBase& self = future();
    const std::string* message = self.cancel_message();
    switch (parked_->hook_(*parked_,
                           message != nullptr ? std::string_view(*message) : std::string_view())) {
        case Abort::removed:
            parked_->interrupted_ = true;
            parked_ = nullptr;
            must_cancel_ = false;
            self.loop().schedule(*this);
            break;
        case Abort::passed_on: must_cancel_ = false; break;
        case Abort::too_late: break;
    }
}

std::uint32_t TaskCore::uncancel() noexcept {
    if (requests_ > 0 && --requests_ == 0) must_cancel_ = false;
    return requests_;
}

std::exception_ptr TaskCore::take_cancellation() {
    must_cancel_ = false;
    return future().make_cancellation();
}

std::exception_ptr& TaskCore::cancellation_to_throw() { return to_throw(take_cancellation()); }

void throw_no_task() {
    throw RuntimeError("this can only be awaited in a task: start it with run() or create_task()");
}

// Holding cancellation back.

void TaskCore::hold_back(std::string_view message, const CancelMask* asked_under) {
    CancelMask* first_since = mask_;
    while (first_since->outer_ != asked_under) first_since = first_since->outer_;
    first_since->hold(message, here.task == this);
}

CancelMask::CancelMask() noexcept
    : task_(running_task()), outer_(task_.mask_), pending_(task_.must_cancel_) {
    task_.mask_ = this;
    task_.must_cancel_ = false;
}

void CancelMask::hold(std::string_view message, bool by_itself) {
    ++held_;
    by_itself_ = by_itself;
    message_ = message;
}

CancelMask::~CancelMask() {
    task_.mask_ = outer_;
    if (held_ > 0) {
        task_.requests_ += held_;
        task_.by_itself_ = by_itself_;
        task_.future().set_cancel_message(message_);
    }
    if (held_ > 0 || pending_) task_.must_cancel_ = true;
}

// Coroutines that never ran.

/// The coroutine function, found by what a frame begins with in every compiler's layout: the code
/// that resumes it.
static SourceFrame body_of(std::coroutine_handle<> coroutine) {
    return function_at(*static_cast<const void* const*>(coroutine.address()));
}

void report_dropped(std::coroutine_handle<> coroutine, std::source_location place) noexcept {
    if (place.line() != 0) {
        log(LogLevel::error, std::string("a coroutine was destroyed while it waits at ") +
                                 place.file_name() + ":" + std::to_string(place.line()) +
                                 "; cancel its task instead");
        std::terminate();
    }
    if (here.loop != nullptr && here.loop->get_debug()) {
        log(LogLevel::warning, "a coroutine was never awaited: " + to_string(body_of(coroutine)));
    }
}

}  // namespace internal

// Lists of tasks.

TaskRef::TaskRef(internal::TaskCore* core) noexcept
    : FutureRef(
          internal::Ref<internal::FutureBase>::share(core != nullptr ? &core->future() : nullptr)),
      core_(core) {}

TaskRef current_task() noexcept { return TaskRef(internal::here.task); }

std::vector<TaskRef> all_tasks(EventLoop& loop) {
    std::vector<TaskRef> tasks;
    loop.residents().for_each([&](internal::Resident& resident) {
        tasks.emplace_back(static_cast<internal::TaskCore*>(&resident));
    });
    return tasks;
}

void internal::run_until_done(EventLoop& loop, FutureBase& future) {
    const Ref<FutureBase> alive = Ref<FutureBase>::share(&future);
    struct StopNode : Ready {
        EventLoop* loop;
    } stopper;
    stopper.loop = &loop;
    stopper.run = [](Ready& node) noexcept { static_cast<StopNode&>(node).loop->stop(); };
    future.notify(stopper);
    try {
        loop.run_forever();
    } catch (...) {
        if (stopper.linked()) stopper.unlink();
        throw;
    }
    if (stopper.linked()) stopper.unlink();
    if (!future.done()) throw RuntimeError("the event loop was stopped before the future was done");
}

}  // namespace asyncio
