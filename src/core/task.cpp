// The life of a task: how it starts, what one step does, how it ends, and how a request to cancel
// reaches it. The states and the two counters of cancellation are in `task_core.h`; this file is
// the machinery behind them.
//
// Ownership. A `TaskState<T>` is one object with two faces: the future that others await, and the
// `TaskCore` that the loop runs. It lives as long as its reference count says. One reference is the
// loop's own: the constructor of `TaskState` takes it, and `TaskCore::end` drops it. So a task
// whose handles have all been dropped still runs to its end. The outermost coroutine frame belongs
// to the task, which destroys it when it completes. Every other frame belongs to the coroutine that
// awaits it. An awaiter lies in the frame that waits, so the task only points to it.
//
// The parts of a step:
// 1. The loop takes the task's node off the ready queue and calls its `run`. This pointer is
//    `first_step` until the task has begun, and `step` from then on, so that no step asks a flag
//    whether it is the first one.
// 2. The step writes the task and its context into `here`, clears `parked_`, and resumes the
//    coroutine at `point_`. This is the innermost coroutine, which has parked; the frames that
//    await it are not touched on the way down.
// 3. Coroutines that end hand over to their parents through `here.next` (`step.h`). The call
//    returns when a coroutine has parked, or when the outermost one has ended.
// 4. After a park nothing is left to do. The awaiter has registered with its source and has written
//    `point_` and `parked_` before the call returned. After the end of the outermost coroutine,
//    `end` takes the task apart.
//
// The order of events is CPython's. A new task has its first step in the iteration after
// `create_task`. A woken task runs one iteration after it was woken. A task that was cancelled
// before its first step runs no line of its coroutine: Python throws the CancelledError into a
// coroutine that has not begun, which has the same effect.
//
// A request to cancel:
// 1. A task that has ended refuses it.
// 2. If the task runs a cleanup under a mask (`cancel_mask.h`), the mask keeps the request.
// 3. Otherwise it is counted in `requests_`, its reason is stored, and `must_cancel_` is set. From
//    here on the request cannot be lost: whatever happens to the wait, the next wait that ends
//    finds the flag.
// 4. If the task is parked, the wait in progress is asked to end. A wait for a future or task hands
//    the request on to that one, which is the work of `CancelWalk`. Any other wait has a hook,
//    which answers `removed`, `passed_on` or `too_late` (`waiter.h`).
// 5. `removed` makes the task ready, with `interrupted_` set in the awaiter. The awaiter throws
//    when the task runs, in the next iteration, as with CPython's cancelled future.
//
// Two races are lost on purpose. A task may be woken and then be cancelled in the same iteration.
// It keeps the result that woke it if that result is an effect (a byte that was read, an item that
// was taken), and the request waits for the next await. And a task that ends without another wait
// ignores a request made by others, since it has produced its result; only a task that has
// cancelled itself ends as cancelled then.

#include <asyncio/task.h>

#include <asyncio/context.h>
#include <asyncio/internal/core/cancel_mask.h>

#include "base/log.h"
#include "base/numbers.h"
#include "loop/step_watch.h"
#include "machine/call_stack.h"

#include <charconv>
#include <new>
#include <span>

namespace asyncio {
namespace internal {

TaskCore::TaskCore(lowlevel::Loop& loop, std::coroutine_handle<> outermost,
                   const TaskOptions& options)
    : loop_(loop),
      point_(outermost),
      outermost_(outermost),
      context_(options.context != nullptr ? options.context->state() : current_context().copy()),
      name_(options.name.empty() ? nullptr : std::make_unique<std::string>(options.name)),
      number_(next_number<TaskCore>()) {
    run = &first_step;
    loop.residents().push_back(*this);
    loop.schedule(*this);
}

/// A log of several loops stays readable, because a number is used once in the process, as in
/// Python.
std::string TaskCore::name() const { return name_ ? *name_ : "Task-" + std::to_string(number_); }

std::string TaskCore::name_or_nothing() const noexcept {
    try {
        return name();
    } catch (const std::bad_alloc&) {
        return {};
    }
}

/// As `name`, without an allocation: a signal handler calls this to name the task that holds the
/// loop.
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

/// The first step of a task that was cancelled before it is its last one. `here` is set
/// nevertheless: the destructors of the coroutine's arguments run in `complete_unstarted`, and
/// belong to this task and its context.
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

/// A nested step: the creator's own step is suspended in the middle of this call, and its
/// trampoline with it. `here.next` is null at this moment, because the creator is running, so the
/// nested trampoline cannot take a handle that belongs to the outer one.
///
/// The task leaves the ready queue, where its constructor has put it, before it runs: a node that
/// runs is in no list. When the stack is used up the function returns early, and the task simply
/// stays in the queue.
void TaskCore::start_eagerly() noexcept {
    if (here.loop != &loop() || stack_position() < here.stack_limit) return;
    Ready::unlink();
    TaskCore* const creator = here.task;
    ContextRef* const context_of_creator = here.context;
    // The creator runs. A reader of the await tree must not be shown the place at which the creator
    // stood before.
    if (creator != nullptr) creator->innermost_ = nullptr;
    run = &step;
    here.task = this;
    here.context = &context_;
    resume(point_);
    if (outermost_.done()) end(&TaskCore::complete);
    here.task = creator;
    here.context = context_of_creator;
}

/// For a task that its owner could not put into its list, because there was no memory for that. The
/// task ends as cancelled before its first step, inside the caller's step, so the caller's entries
/// in `here` are restored afterwards.
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

/// Called by the watch over slow steps in a signal handler, on the thread that runs the task. So
/// the task cannot end meanwhile. Its name can be replaced at any moment, but only by exchanging
/// one pointer.
std::size_t write_running_task(std::span<char> text) noexcept {
    const TaskCore* const task = here.task;
    if (task == nullptr) return StepWatch::write(text, "a task");
    const std::size_t prefix = StepWatch::write(text, "the task ");
    return prefix + task->write_name(text.subspan(prefix));
}

}  // namespace

void TaskCore::step(Ready& ready) noexcept { static_cast<TaskCore&>(ready).run_step(); }

/// The hot path of the library: every resumption of every task comes through here. Debug mode is
/// therefore one test of a flag, and its work is in a function of its own. `here` is cleared behind
/// a step, because callbacks that run next belong to no task.
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

/// As `run_step`, in debug mode. The time is taken before `end`, so that destructors and the
/// completion of the future do not count as the step's work.
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

/// The end of a task. The order matters:
/// 1. The task leaves the await tree and the loop's list first, so that `all_tasks` does not show a
///    task that is ending.
/// 2. The completion destroys the frame while this is still the running task: the destructors of
///    the coroutine's arguments may ask for the current task and its context variables. Then it
///    completes the future, which makes the waiting tasks ready.
/// 3. The loop's reference goes last. It may be the last one, so nothing of this object is touched
///    after it.
void TaskCore::end(void (TaskCore::*completion)() noexcept) noexcept {
    innermost_ = nullptr;
    Resident::unlink();
    (this->*completion)();
    here.task = nullptr;
    here.context = nullptr;
    future().release();  // the loop's reference
}

// Cancellation.

/// As in Python, cancelling a task that has ended also marks its error as seen: a program that
/// cancels a task it does not need any more does not want a report about it.
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

/// Counts the request, and tries to deliver it to the wait in progress. If the task waits for a
/// future, the function returns that future, and its caller asks the future to end. Otherwise each
/// task of a chain would ask the next one from in here, and the walk would be a recursion.
///
/// The mask is compared by address: the request passes if the scope that makes it began under the
/// same mask, so inside the cleanup. Because of `by_itself_`, a task that has cancelled itself and
/// then returns ends as cancelled.
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

/// The request was there before the wait, so the wait ends at once, but not inside this call. The
/// task parks and is made ready, and throws one iteration later: CPython's task also gives up
/// control once before it throws.
void TaskCore::abort_wait() noexcept {
    const std::string* const stored = future().cancel_message();
    const std::string_view message = stored != nullptr ? std::string_view(*stored) : "";
    if (FutureBase* const first = abort_or_pass_on(message))
        CancelWalk(message).pass_on(*this, *first);
}

/// The three answers of a hook. `removed`: nothing else will wake the task, so this does.
/// `passed_on`: the awaiter has noted the request and will throw it itself, so the task forgets it.
/// `too_late`: the flag stays set for the end of this wait or for the next one.
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

/// Wakes the task with `interrupted_` set; its source does not know it any more. The flag in the
/// awaiter distinguishes a wait that was ended by the request from a wait that has had its effect
/// while a request is pending.
///
/// A task that is not parked is running or about to run, so it needs no help.
bool TaskCore::break_wait() noexcept {
    if (parked_ == nullptr) return true;
    // The node may still stand in the list of a future that is not done. A task that is in the
    // ready queue has been woken, and its hook has answered `too_late`.
    if (Ready::linked()) Ready::unlink();  // from the list of a future that is not done
    parked_->interrupted_ = true;
    parked_ = nullptr;
    must_cancel_ = false;
    loop().schedule(*this);
    return true;
}

/// `for_future_` stands for a virtual call: this is asked at every step of a walk, and most waits
/// are for no future.
FutureBase* TaskCore::awaited(std::size_t index) const noexcept {
    if (index > 0 || parked_ == nullptr || !parked_->for_future_) return nullptr;
    return &static_cast<FutureWaiter*>(parked_)->awaited();
}

FutureBase* TaskCore::receive(std::string_view message) noexcept {
    if (!future().done()) return request(message, nullptr);
    future().mark_retrieved();
    return nullptr;
}

/// The future that the task waits for has answered. If the request will end it, its own end wakes
/// this task with a CancelledError that carries the reason, so the task's copy of the request is
/// withdrawn. Otherwise the task would throw twice. The count in `requests_` stays.
///
/// A task that is not parked any more was woken by `break_wait` to open a circle: the request and
/// its reason are then its own to deliver.
FutureBase* TaskCore::answered(bool will_end, std::string_view) noexcept {
    if (will_end && parked_ != nullptr) withdraw();
    return nullptr;
}

bool TaskCore::answer() noexcept { return !future().done(); }

/// At zero, a request that was not delivered is taken back too, as in Python since 3.13. Scopes
/// rely on it: a limit that is reached after the last wait of its body must not leave a request
/// behind.
std::uint32_t TaskCore::uncancel() noexcept {
    if (requests_ > 0 && --requests_ == 0) withdraw();
    return requests_;
}

void TaskCore::withdraw() noexcept {
    if (!must_cancel_) return;
    must_cancel_ = false;
    future().drop_cancel_message();
}

/// The reason is dropped with the request: the next request may have none, and would otherwise
/// carry the reason of this one.
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
                           " must be awaited in a coroutine that run() or create_task() runs");
    throw RuntimeError(
        std::string("no running task: ") + function +
        " must be awaited in a coroutine that run() or create_task() runs, not in a callback");
}

// Holding cancellation back.

/// The request is kept by the first mask that the task entered after the asking scope began. When
/// this mask ends, no mask stands between the scope and the task's code any more. Masks form a list
/// from the innermost outwards, so the search ends at the mask whose outer neighbour is the scope's
/// own.
void TaskCore::hold_back(std::string_view message, const CancelMask* asked_under) noexcept {
    CancelMask* first_since = mask_;
    while (first_since->outer_ != asked_under) first_since = first_since->outer_;
    first_since->hold(message, here.task == this);
}

/// A request that is pending when the mask begins was counted already. So it is kept apart from
/// those in `held_`, which are counted when the mask ends.
CancelMask::CancelMask(TaskCore& task) noexcept
    : task_(task),
      outer_(task_.mask_),
      pending_(task_.must_cancel_),
      message_(task_.must_cancel_ ? task_.future().take_cancel_message() : nullptr) {
    task_.mask_ = this;
    task_.must_cancel_ = false;
}

/// The last reason wins, as with requests that are not held back. A request without a reason does
/// not erase one.
void CancelMask::hold(std::string_view message, bool by_itself) noexcept {
    ++held_;
    by_itself_ = by_itself;
    if (!message.empty()) message_ = cancel_message_of(message);
}

/// Makes the requests that were held back, in one step. The wait in progress is not asked to end,
/// because there is none: the mask ends in the task's own step. The next wait delivers them.
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

// Coroutines that never ran, and coroutines that are run twice.

void throw_reused() {
    throw RuntimeError("cannot reuse already awaited coroutine: this Coro is empty, because it was "
                       "awaited, made a task, or moved from");
}

/// The coroutine function. No standard interface names it, but in the layout of every compiler a
/// frame begins with a pointer to the code that resumes it, and the debug information knows the
/// function of that code.
static SourceFrame body_of(std::coroutine_handle<> coroutine) {
    return function_at(*static_cast<const void* const*>(coroutine.address()));
}

/// A frame that has begun and is destroyed while it waits would run destructors but no `catch`
/// block, and the source that will wake it would write into freed memory. The program cannot
/// continue safely, so it ends. A frame that never ran is harmless, and worth a warning in debug
/// mode.
void report_dropped(std::coroutine_handle<> coroutine, std::source_location place) noexcept {
    if (place.line() != 0) {
        log(LogLevel::error, "a coroutine was destroyed while it waited", [place] {
            return std::string("a coroutine was destroyed while it waited at ") +
                   place.file_name() + ":" + std::to_string(place.line()) +
                   "; cancel its task instead";
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

/// Shares the reference count of the future: `core_` is valid as long as the future is, since both
/// are one object.
TaskRef::TaskRef(internal::TaskCore* core) noexcept
    : FutureRef(
          internal::Ref<internal::FutureBase>::share(core != nullptr ? &core->future() : nullptr)),
      core_(core) {}

TaskRef current_task() noexcept { return TaskRef(internal::here.task); }

std::vector<TaskRef> all_tasks() {
    return all_tasks(internal::running_loop("asyncio::all_tasks()"));
}

/// The loop does not know what its residents are. On this floor they are tasks, and nothing else.
std::vector<TaskRef> all_tasks(EventLoop& loop) {
    std::vector<TaskRef> tasks;
    loop.residents().for_each([&](internal::Resident& resident) {
        tasks.emplace_back(static_cast<internal::TaskCore*>(&resident));
    });
    return tasks;
}

/// The node that stops the loop lies on this stack and is registered with the future like any
/// waiter. So it runs one iteration after the future is done, as Python's `_run_until_complete_cb`
/// does, and tasks that became ready together with it still have their turn.
///
/// However the run ends, the node must be out of every list before it is destroyed. A deadlock
/// leaves it in the future's list; a program that calls `stop` itself may leave it in the ready
/// queue.
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
