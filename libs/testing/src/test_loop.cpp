// How a loop runs until it would wait: the probe stops the loop in place of the wait.
//
// The loop lets its back-end wait only when nothing is ready. So this call is the moment at which
// the loop is idle, and its deadline says when the next timer is due. Counting iterations was
// rejected: a test would have to know how many of them an operation takes, and would break whenever
// the library needs one more.
//
// An idle loop may have operations in flight, which only the kernel can finish. So `check_idle`
// asks about tasks and timers, and not about operations.

#include <asyncio/testing/test_loop.h>

#include <asyncio/executor.h>
#include <asyncio/testing/assertion_error.h>

#include <string>
#include <string_view>

namespace asyncio::testing {

/// The back-end is made here and not by the loop, because the probe has to stand between the two.
TestLoop::TestLoop(LoopOptions options)
    : TestLoop(lowlevel::make_backend(options.backend), options) {}

TestLoop::TestLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options)
    : TestLoop(std::make_unique<ProbeBackend>(std::move(backend)), options) {}

/// The reference is taken before the loop takes the probe over, in the order of the members. The
/// loop owns its back-end to its end, so the reference stays good.
TestLoop::TestLoop(std::unique_ptr<ProbeBackend> probe, LoopOptions options)
    : probe_(*probe), loop_(std::move(probe), options) {}

/// The probe answers with the name of the back-end behind it.
bool TestLoop::simulated() const noexcept {
    return std::string_view(loop_.backend_name()) == "simulated";
}

/// The function of the probe refers to local variables, so it is removed before they go. A later
/// run of the loop waits as usual.
TimePoint TestLoop::run_until_idle() {
    TimePoint deadline;
    probe_.instead_of_waiting = [&](TimePoint asked) {
        deadline = asked;
        loop_.stop();
    };
    loop_.run_forever();
    probe_.instead_of_waiting = nullptr;
    return deadline;
}

/// Tasks come first: a timer usually belongs to a task that sleeps, and the await tree of the task
/// says more than the timer.
void TestLoop::check_idle() {
    const TimePoint deadline = run_until_idle();
    if (!all_tasks(loop_).empty()) {
        throw AssertionError("these tasks are left at the end of the test:\n" +
                             format_tasks(loop_));
    }
    if (deadline != TimePoint::max())
        throw AssertionError("a timer is left at the end of the test");
}

/// In the order of `run`: a generator that is being ended may still use the executor. A second call
/// has no effect.
void TestLoop::close() {
    if (loop_.is_closed()) return;
    loop_.run_until_complete(loop_.shutdown_asyncgens());
    loop_.run_until_complete(loop_.shutdown_default_executor());
    loop_.close();
}

}  // namespace asyncio::testing
