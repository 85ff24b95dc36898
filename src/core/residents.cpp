// What the loop asks of the tasks it keeps: that all of them come to an end.

#include <asyncio/future.h>
#include <asyncio/task.h>

#include "base/log.h"

#include <string>

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

/// Counts the tasks down and stops the loop at zero.
struct Countdown {
    struct Part : Ready {
        Countdown* countdown;
        TaskRef task;
    };

    explicit Countdown(EventLoop& on)
        : loop(on), tasks(all_tasks(on)), parts(std::make_unique<Part[]>(tasks.size())) {
        for (std::size_t index = 0; index < tasks.size(); ++index) {
            parts[index].countdown = this;
            parts[index].task = tasks[index];
            parts[index].run = &part_done;
            tasks[index].core()->future().notify(parts[index]);
        }
        left = tasks.size();
    }
    Countdown(const Countdown&) = delete;
    Countdown& operator=(const Countdown&) = delete;
    ~Countdown() {
        for (std::size_t index = 0; index < tasks.size(); ++index) {
            if (parts[index].linked()) parts[index].unlink();
        }
    }

    static void part_done(Ready& node) noexcept {
        auto& part = static_cast<Part&>(node);
        FutureBase& future = part.task.core()->future();
        if (!future.cancelled() && future.error() != nullptr) {
            future.mark_retrieved();
            const std::string name = part.task.get_name();
            part.countdown->loop.call_exception_handler(
                {.message = "unhandled exception while the loop shuts down",
                 .exception = future.error(),
                 .task_name = name});
        }
        if (--part.countdown->left == 0) part.countdown->loop.stop();
    }

    EventLoop& loop;
    std::vector<TaskRef> tasks;
    std::unique_ptr<Part[]> parts;
    std::size_t left = 0;
};

void cancel_and_wait(EventLoop& loop) {
    Countdown countdown(loop);
    for (const TaskRef& task : countdown.tasks) task.cancel();
    const TimerHandle warning = loop.call_later(patience, [&loop] {
        log(LogLevel::warning, "shutting down, but these tasks do not end: " + name_list(loop));
    });
    loop.run_forever();
    TimerHandle(warning).cancel();
}

/// A cleanup that would wait for ever is cancelled after all. False if there is none.
bool lift_masks(EventLoop& loop) {
    bool any = false;
    for (const TaskRef& task : all_tasks(loop)) any |= task.core()->lift_masks();
    return any;
}

}  // namespace

/// Cancels all tasks and runs them to their end. Those they start meanwhile get the same, for as
/// long as it takes.
void wind_up_residents(EventLoop& loop) {
    while (!loop.residents().empty()) {
        try {
            cancel_and_wait(loop);
        } catch (const DeadlockError& deadlock) {
            log(LogLevel::error, std::string("shutting down: ") + deadlock.what());
            if (!lift_masks(loop)) return;
        }
    }
}

}  // namespace asyncio::internal
