// What the loop asks of the tasks it keeps: that all of them come to an end.

#include <asyncio/future.h>
#include <asyncio/internal/future_watch.h>
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

/// A task has ended. Nobody else looks at its error.
void report_error_of(TaskCore& task) noexcept {
    FutureBase& future = task.future();
    if (future.succeeded() || future.cancelled()) return;
    future.mark_retrieved();
    const std::string name = task.name_or_nothing();
    future.loop().call_exception_handler(
        {.message = "unhandled exception while the loop shuts down",
         .exception = future.error(),
         .task_name = name});
}

/// Counts the tasks down and stops the loop at zero.
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

    void future_ended(std::size_t index, FutureBase&) noexcept {
        report_error_of(*tasks_[index].core());
        if (--left_ == 0) loop_.stop();
    }

    EventLoop& loop_;
    std::vector<TaskRef> tasks_;
    std::size_t left_;
};

/// Stops the loop at the end of one task.
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
        // There was none for the tree.
        log(LogLevel::error, "shutting down: deadlock");
    }
    return false;
}

TimerHandle warn_after_patience(EventLoop& loop) noexcept {
    try {
        return loop.call_later(patience, [&loop] {
            log(LogLevel::warning, "shutting down, but these tasks do not end: " + name_list(loop));
        });
    } catch (const std::bad_alloc&) {
        return TimerHandle();
    }
}

void cancel_all(EventLoop& loop) {
    loop.residents().for_each(
        [](Resident& resident) { static_cast<TaskCore&>(resident).cancel({}); });
}

/// Waits for one task after the other, which needs no memory. Those that they start stand behind
/// them in the list, and are not among those that were cancelled.
bool wait_singly(EventLoop& loop, std::uint64_t newest) {
    while (!loop.residents().empty()) {
        auto& first = static_cast<TaskCore&>(loop.residents().front());
        if (first.number() > newest) break;
        const OneEnd end(first);
        if (!run_until_stopped(loop)) return false;
    }
    return true;
}

/// False if there are tasks that never end.
bool cancel_and_wait(EventLoop& loop) {
    std::optional<Countdown> countdown;
    try {
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

/// A cleanup that would wait for ever is cancelled after all. False if there is none.
bool lift_masks(EventLoop& loop) noexcept {
    bool any = false;
    loop.residents().for_each(
        [&](Resident& resident) { any |= static_cast<TaskCore&>(resident).lift_masks(); });
    return any;
}

}  // namespace

/// Cancels all tasks and runs them to their end. Those they start meanwhile get the same, for as
/// long as it takes. A loop also closes where there is no memory: only reports need any.
void wind_up_residents(EventLoop& loop) {
    while (!loop.residents().empty()) {
        if (!cancel_and_wait(loop) && !lift_masks(loop)) return;
    }
}

}  // namespace asyncio::internal
