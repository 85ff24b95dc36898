// How a loop brings its tasks to an end: cancel all, run until they have ended, and again for the
// tasks they have started meanwhile.
//
// `run` does this after the main coroutine has ended, as Python's `_cancel_all_tasks` does, and
// `EventLoop::close` does it for what is left. The loop itself cannot, because on its floor a
// resident is only a list entry.
//
// The steps of a round:
// 1. A watch is registered with every task, behind the waiters that are there. When the last task
//    has been reported, the loop stops.
// 2. All tasks are cancelled, in the order of their creation. No task runs inside that; each
//    delivers its request in the next iteration.
// 3. The loop runs until it is stopped. An error of a task is reported to the exception handler,
//    since no code awaits these tasks.
// Tasks that were started meanwhile belong to the next round. There is no limit to the rounds: a
// program that always starts another task never ends, and Python's does not either. After five
// seconds the tasks that still run are named in the log.
//
// A task may also never end because it waits for something that cannot come. The simulated back-end
// notices that (`DeadlockError`); on the others the loop waits, because a thread or a signal may
// still come. After a deadlock the masks are lifted: a cleanup that was protected from cancellation
// is cancelled after all, because no other end is in sight. If there was no mask to lift, the loop
// gives up and the tasks stay: a task that waits cannot be destroyed.
//
// Memory. An end without memory must still be an end. The watch of a round needs memory for its
// nodes and for its list of tasks. If that fails, the tasks are waited for one after the other with
// a node on the stack. The warning is dropped without memory, and reports are shortened.

#include <asyncio/future.h>
#include <asyncio/internal/core/future_watch.h>
#include <asyncio/task.h>

#include "base/log.h"

#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::internal {
namespace {

/// Tasks that have not ended after so long are named, so that a hanging exit explains itself.
constexpr Duration patience = std::chrono::seconds(5);

std::string name_list(EventLoop& loop) {
    std::string names;
    for (const TaskRef& task : all_tasks(loop))
        names += (names.empty() ? "" : ", ") + task.get_name();
    return names;
}

/// A task has ended, and no code will ask for its error. A cancellation is what was asked for, so
/// it is not reported.
void report_error_of(TaskCore& task) noexcept {
    FutureBase& future = task.future();
    if (future.succeeded() || future.cancelled()) return;
    future.mark_retrieved();
    const std::string name = task.name_or_nothing();
    face_of(future.loop())
        .call_exception_handler({.message = "unhandled exception while the loop shuts down",
                                 .exception = future.error(),
                                 .task_name = name});
}

/// Counts the tasks down and stops the loop at zero. After a deadlock some tasks still wait; the
/// destructor of the watch takes the nodes out of their lists.
class Countdown : FutureWatch<Countdown> {
public:
    /// Throws: `std::bad_alloc`; nothing has happened then.
    explicit Countdown(EventLoop& loop) : Countdown(loop, all_tasks(loop)) {}

private:
    friend FutureWatch;

    Countdown(EventLoop& loop, std::vector<TaskRef> tasks)
        : FutureWatch(tasks.size()), loop_(loop), tasks_(std::move(tasks)), left_(tasks_.size()) {
        for (std::size_t index = 0; index < tasks_.size(); ++index)
            watch(index, tasks_[index].core()->future());
    }

    /// Runs one iteration after the task has ended, behind the tasks that waited for it: these are
    /// cancelled too and may still use its result.
    void future_ended(std::size_t index, FutureBase&) noexcept {
        report_error_of(*tasks_[index].core());
        if (--left_ == 0) loop_.stop();
    }

    EventLoop& loop_;
    std::vector<TaskRef> tasks_;
    std::size_t left_;
};

/// Stops the loop at the end of one task: the way that needs no allocation.
struct OneEnd : Ready {
    explicit OneEnd(TaskCore& of) noexcept : task(&of) {
        run = [](Ready& node) noexcept {
            TaskCore& ended = *static_cast<OneEnd&>(node).task.core();
            report_error_of(ended);
            ended.loop().stop();
        };
        of.future().notify(*this);
    }
    OneEnd(const OneEnd&) = delete;
    OneEnd& operator=(const OneEnd&) = delete;
    ~OneEnd() {
        if (linked()) unlink();
    }

    TaskRef task;
};

/// Runs until the loop is stopped. False if nothing is left that could ever run.
bool run_until_stopped(EventLoop& loop) {
    try {
        loop.run_forever();
        return true;
    } catch (const DeadlockError& deadlock) {
        log(LogLevel::error, "shutting down: deadlock",
            [&] { return std::string("shutting down: ") + deadlock.what(); });
    } catch (const std::bad_alloc&) {
        // The text of a DeadlockError is an allocation. There was a deadlock, and no memory to
        // describe it.
        log(LogLevel::error, "shutting down: deadlock");
    }
    return false;
}

/// The caller cancels the warning at the end of its round: it is about the tasks of this round
/// only.
TimerHandle warn_after_patience(EventLoop& loop) noexcept {
    try {
        return loop.call_later(patience, [&loop] {
            log(LogLevel::warning, "shutting down, but these tasks do not end: " + name_list(loop));
        });
    } catch (const std::bad_alloc&) {
        return TimerHandle();
    }
}

/// No task runs in here, so the list does not change under the loop.
void cancel_all(EventLoop& loop) {
    loop.residents().for_each(
        [](Resident& resident) { static_cast<TaskCore&>(resident).cancel({}); });
}

/// Waits for one task after the other, which needs no memory. Tasks that these start stand behind
/// them in the list and have higher numbers than `newest`. They were not cancelled, so they are
/// left for the next round.
bool wait_singly(EventLoop& loop, std::uint64_t newest) {
    while (!loop.residents().empty()) {
        auto& first = static_cast<TaskCore&>(loop.residents().front());
        if (first.number() > newest) break;
        const OneEnd end(first);
        if (!run_until_stopped(loop)) return false;
    }
    return true;
}

/// Runs one round. False if there are tasks that never end.
bool cancel_and_wait(EventLoop& loop) {
    std::optional<Countdown> countdown;
    try {
        // The watch comes before the requests, so that a lack of memory is found before anything
        // has changed.
        countdown.emplace(loop);
    } catch (const std::bad_alloc&) {
    }
    std::uint64_t newest = 0;
    loop.residents().for_each(
        [&](Resident& resident) { newest = static_cast<TaskCore&>(resident).number(); });
    cancel_all(loop);
    TimerHandle warning = warn_after_patience(loop);
    const bool ended = countdown ? run_until_stopped(loop) : wait_singly(loop, newest);
    warning.cancel();
    return ended;
}

/// Cancels the cleanups that would wait for ever, by taking their masks away. False if there is
/// none: then nothing is left to try.
bool lift_masks(EventLoop& loop) noexcept {
    bool any = false;
    loop.residents().for_each(
        [&](Resident& resident) { any |= static_cast<TaskCore&>(resident).lift_masks(); });
    return any;
}

}  // namespace

/// Cancels all tasks and runs them to their end. Tasks that they start meanwhile get the same, for
/// as long as it takes. A loop also closes where there is no memory: only reports need any.
void wind_up_residents(EventLoop& loop) {
    while (!loop.residents().empty()) {
        if (!cancel_and_wait(loop) && !lift_masks(loop)) return;
    }
}

}  // namespace asyncio::internal
