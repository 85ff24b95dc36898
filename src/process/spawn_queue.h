#pragma once
// A single start of a program per iteration of the loop.
//
// Starting a program blocks the loop for some 0.3 ms. Five hundred tasks that are ready to start
// one each would block it for 150 ms in one iteration, in which no timer fires and no limit is
// kept. So they stand in a line, and the first task lets the next one go into the iteration that
// follows.
//
// The alternative, a thread that starts programs, would cost a thread and two hand-overs for each
// start. It would also give the child a parent thread that may end before it, which matters to
// children that ask for a signal at their parent's end (PR_SET_PDEATHSIG).
//
// Thread-safety: loop thread only.

#include <asyncio/lowlevel/line.h>

#include <coroutine>
#include <memory>
#include <string_view>
#include <vector>

namespace asyncio::internal {

class SpawnQueueWaiter : public lowlevel::LineWaiter {
public:
    SpawnQueueWaiter() noexcept = default;
    SpawnQueueWaiter(const SpawnQueueWaiter&) = delete;
    SpawnQueueWaiter& operator=(const SpawnQueueWaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) {
        lowlevel::Line& line = line_of_loop();
        is_first_ = line.empty();
        if (!is_first_) return wait_in(line, coroutine, &abort);
        line.push_back(*this);
        yield(coroutine);
    }
    void await_resume();

private:
    struct LoopLine;
    using Lines = std::vector<std::unique_ptr<LoopLine>>;

    static Lines& lines_of_thread();
    static Lines::iterator find_line(lowlevel::Loop& loop);
    lowlevel::Line& line_of_loop();
    void let_next_go() noexcept;
    static Abort abort(lowlevel::Waiter& waiter, std::string_view) noexcept;

    /// The task is the first of its line: it is going to resume in any case.
    bool is_first_ = false;
};

/// `co_await SpawnQueue()`: always yields; returns when a program may be started.
struct SpawnQueue {
    auto operator co_await() const noexcept { return SpawnQueueWaiter(); }
};

}  // namespace asyncio::internal
