#include <asyncio/task.h>

#include <asyncio/context.h>
#include <asyncio/internal/cancel_mask.h>

#include "base/call_stack.h"
#include "base/log.h"
#include "base/numbers.h"
#include "loop/step_watch.h"

#include <charconv>
#include <new>
#include <span>

namespace asyncio {
namespace internal {

TaskCore::TaskCore(EventLoop& loop, std::coroutine_handle<> outermost, const TaskOptions& options)
    : outermost_(outermost),
      point_(outermost),
      context_(options.context != nullptr ? options.context->state() : current_context().copy()),
      name_(options.name.empty() ? nullptr : std::make_unique<std::string>(options.name)),
      number_(next_number<TaskCore>()) {
    run = &first_step;
    loop.residents().push_back(*this);
    loop.schedule(*this);
}

EventLoop& TaskCore::loop() noexcept { return future().loop(); }

/// The number is unique in the process, as in Python, so a log of two loops can be read.
std::string TaskCore::name() const { return name_ ? *name_ : "Task-" + std::to_string(number_); }

std::string TaskCore::name_or_nothing() const noexcept {
    try {
        return name();
    } catch (const std::bad_alloc&) {
        return {};
    }
}

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
    // It runs, and no reader of the tree may take for its place what was one before.
    if (creator != nullptr) creator->innermost_ = nullptr;
    run = &step;
    here.task = this;
    here.context = &context_;
    resume(point_);
    if (outermost_.done()) end(&TaskCore::complete);
    here.task = creator;
    here.context = context_of_creator;
}

void TaskCore::discard() noexcept {
    Ready::unlink();
    TaskCore* const outer = here.task;
    ContextRef* const outer_context = here.context;
    must_cancel_ = true;
    first_step(*this);
    here.task = outer;
    here.context = outer_context;
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
    if (self.done()) {
        self.mark_retrieved();
        return false;
    }
    self.require_loop("cancel");
    if (FutureBase* const first = request(message, asked_under))
        CancelWalk(message).pass_on(*this, *first);
    return true;
}

/// Counts the request and sees whether the wait in progress can deliver it. Returns what the task
/// waits for if that is to be asked.
FutureBase* TaskCore::request(std::string_view message, const CancelMask* asked_under) noexcept {
    if (mask_ != asked_under && mask_ != nullptr) [[unlikely]] {
        hold_back(message, asked_under);
        return nullptr;
    }
    ++requests_;
    future().set_cancel_message(message);
    must_cancel_ = true;
    by_itself_ = here.task == this;
    return parked_ != nullptr ? abort_or_pass_on(message) : nullptr;
}

/// The request was there before the wait.
void TaskCore::abort_wait() noexcept {
    const std::string* const stored = future().cancel_message();
    const std::string_view message = stored != nullptr ? std::string_view(*stored) : "";
    if (FutureBase* const first = abort_or_pass_on(message))
        CancelWalk(message).pass_on(*this, *first);
}

FutureBase* TaskCore::abort_or_pass_on(std::string_view message) noexcept {
    using Abort = lowlevel::Waiter::Abort;
    if (FutureBase* const waited_for = awaited(0)) return waited_for;
    switch (parked_->hook_(*parked_, message)) {
        case Abort::removed: break_wait(); break;
        case Abort::passed_on: leave_request_to_wait(); break;
        case Abort::too_late: break;
    }
    return nullptr;
}

/// Nothing else wakes the task any more.
bool TaskCore::break_wait() noexcept {
    if (parked_ == nullptr) return true;
    if (Ready::linked()) Ready::unlink();  // from the list of a future that is not done
    parked_->interrupted_ = true;
    parked_ = nullptr;
    must_cancel_ = false;
    loop().schedule(*this);
    return true;
}

FutureBase* TaskCore::awaited(std::size_t index) const noexcept {
    if (index > 0 || parked_ == nullptr || !parked_->for_future_) return nullptr;
    return &static_cast<FutureWaiter*>(parked_)->awaited();
}

FutureBase* TaskCore::receive(std::string_view message) noexcept {
    if (!future().done()) return request(message, nullptr);
    future().mark_retrieved();
    return nullptr;
}

/// What is waited for delivers the request by its end, and its reason with it.
FutureBase* TaskCore::answered(bool will_end, std::string_view) noexcept {
    if (will_end && parked_ != nullptr) withdraw();
    return nullptr;
}

bool TaskCore::answer() noexcept { return !future().done(); }

std::uint32_t TaskCore::uncancel() noexcept {
    if (requests_ > 0 && --requests_ == 0) withdraw();
    return requests_;
}

void TaskCore::withdraw() noexcept {
    if (!must_cancel_) return;
    must_cancel_ = false;
    future().drop_cancel_message();
}

/// The reason goes with it: the next request may have none.
std::exception_ptr TaskCore::take_cancellation() {
    must_cancel_ = false;
    std::exception_ptr cancellation = future().make_cancellation();
    future().drop_cancel_message();
    return cancellation;
}

std::exception_ptr& TaskCore::cancellation_to_throw() { return to_throw(take_cancellation()); }

void throw_no_task(const char* function) {
    if (here.loop == nullptr)
        throw RuntimeError(std::string("no running event loop: ") + function +
                           " is to be awaited in a coroutine that run() or create_task() runs");
    throw RuntimeError(std::string("no running task: ") + function +
                       " is to be awaited in a coroutine that run() or create_task() runs, not in "
                       "a callback");
}

// Holding cancellation back.

void TaskCore::hold_back(std::string_view message, const CancelMask* asked_under) noexcept {
    CancelMask* first_since = mask_;
    while (first_since->outer_ != asked_under) first_since = first_since->outer_;
    first_since->hold(message, here.task == this);
}

CancelMask::CancelMask(TaskCore& task) noexcept
    : task_(task),
      outer_(task_.mask_),
      pending_(task_.must_cancel_),
      message_(task_.must_cancel_ ? task_.future().take_cancel_message() : nullptr) {
    task_.mask_ = this;
    task_.must_cancel_ = false;
}

void CancelMask::hold(std::string_view message, bool by_itself) noexcept {
    ++held_;
    by_itself_ = by_itself;
    if (!message.empty()) message_ = cancel_message_of(message);
}

CancelMask::~CancelMask() {
    task_.mask_ = outer_;
    if (held_ > 0) {
        task_.requests_ += held_;
        task_.by_itself_ = by_itself_;
    }
    if (held_ == 0 && !pending_) return;
    task_.must_cancel_ = true;
    if (message_ != nullptr) task_.future().set_cancel_message(*message_);
}

// Coroutines that never ran, and those that are to run twice.

void throw_reused() {
    throw RuntimeError("cannot reuse already awaited coroutine: this Coro is empty, for it was "
                       "awaited, made a task or moved from");
}

/// The coroutine function, found by what a frame begins with in every compiler's layout: the code
/// that resumes it.
static SourceFrame body_of(std::coroutine_handle<> coroutine) {
    return function_at(*static_cast<const void* const*>(coroutine.address()));
}

void report_dropped(std::coroutine_handle<> coroutine, std::source_location place) noexcept {
    if (place.line() != 0) {
        log(LogLevel::error, "a coroutine was destroyed while it waits", [place] {
            return std::string("a coroutine was destroyed while it waits at ") + place.file_name() +
                   ":" + std::to_string(place.line()) + "; cancel its task instead";
        });
        std::terminate();
    }
    if (here.loop != nullptr && here.loop->get_debug()) {
        constexpr auto what = "a coroutine was never awaited";
        log(LogLevel::warning, what,
            [=] { return std::string(what) + ": " + to_string(body_of(coroutine)); });
    }
}

}  // namespace internal

// Lists of tasks.

TaskRef::TaskRef(internal::TaskCore* core) noexcept
    : FutureRef(
          internal::Ref<internal::FutureBase>::share(core != nullptr ? &core->future() : nullptr)),
      core_(core) {}

TaskRef current_task() noexcept { return TaskRef(internal::here.task); }

std::vector<TaskRef> all_tasks() {
    return all_tasks(internal::running_loop("asyncio::all_tasks()"));
}

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
