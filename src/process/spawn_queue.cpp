// The line of tasks that are about to start a program.
//
// The first task of a line yields once and starts its program in the next iteration. When it
// resumes, it leaves the line and makes the next task ready, which runs one iteration later. So
// each iteration has one start, and timers and other tasks run in between.
//
// The line is found through a table of the thread, by the loop: it belongs to no object of the
// program, and most loops never start a program. A line exists only while a task stands in it, so a
// loop that ends leaves nothing behind.
//
// A cancellation. A task in the middle of the line leaves it. The first one cannot leave: the loop
// is about to resume it, and the tasks behind it depend on that. It resumes, makes the next task
// ready, and then throws; its program is not started.

#include "process/spawn_queue.h"

#include <algorithm>

namespace asyncio::internal {

/// The tasks that wait on one loop. The first in the list is the one that starts next.
struct SpawnQueueWaiter::LoopLine {
    lowlevel::Loop* loop;
    lowlevel::Line waiters;
};

/// The lines of this thread. A vector, because few threads have more than one loop. The pointers
/// keep a line at its place while others come and go: its list must not move.
SpawnQueueWaiter::Lines& SpawnQueueWaiter::lines_of_thread() {
    thread_local Lines lines;
    return lines;
}

SpawnQueueWaiter::Lines::iterator SpawnQueueWaiter::find_line(lowlevel::Loop& loop) {
    Lines& lines = lines_of_thread();
    return std::find_if(lines.begin(), lines.end(),
                        [&](const auto& line) { return line->loop == &loop; });
}

/// Throws: `std::bad_alloc`; the task is then in no line.
lowlevel::Line& SpawnQueueWaiter::line_of_loop() {
    lowlevel::Loop& loop = task().loop();
    Lines& lines = lines_of_thread();
    auto line = find_line(loop);
    if (line == lines.end()) line = lines.insert(line, std::make_unique<LoopLine>(&loop));
    return (*line)->waiters;
}

/// The next task is made ready before this one may throw.
void SpawnQueueWaiter::await_resume() {
    if (is_first_) let_next_go();
    resumed();
}

/// Leaves the line. The next task, if there is one, becomes the first and runs in the next
/// iteration.
void SpawnQueueWaiter::let_next_go() noexcept {
    unlink();
    const auto line = find_line(task().loop());
    if ((*line)->waiters.empty()) {
        lines_of_thread().erase(line);
        return;
    }
    auto& next = static_cast<SpawnQueueWaiter&>((*line)->waiters.front());
    next.is_first_ = true;
    task().loop().schedule(next.task());
}

lowlevel::Waiter::Abort SpawnQueueWaiter::abort(lowlevel::Waiter& waiter,
                                                std::string_view reason) noexcept {
    if (static_cast<SpawnQueueWaiter&>(waiter).is_first_) return Abort::too_late;
    return leave_line(waiter, reason);
}

}  // namespace asyncio::internal
