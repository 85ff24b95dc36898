#pragma once
// A loop for tests. It runs until it would wait, and it tells at the end of a test whether anything
// is left.

#include <asyncio/event_loop.h>
#include <asyncio/task.h>
#include <asyncio/testing/log_capture.h>
#include <asyncio/testing/probe_backend.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace asyncio::testing {

/// An event loop with a probe around its back-end. Its destructor closes the loop, as that of
/// `EventLoop` does.
///
/// Python: the loop of `unittest.IsolatedAsyncioTestCase`.
class TestLoop {
public:
    /// A loop on the back-end of `options`. Debug mode is off unless the options switch it on, so
    /// that the environment does not change what a test sees.
    explicit TestLoop(LoopOptions options = {.debug = false});
    /// A loop on the given back-end. The back-end of `options` is not used.
    explicit TestLoop(std::unique_ptr<lowlevel::Backend> backend,
                      LoopOptions options = {.debug = false});

    EventLoop& operator*() noexcept { return loop_; }
    EventLoop* operator->() noexcept { return &loop_; }
    /// The probe between the loop and its back-end. Lives as long as the loop.
    ProbeBackend& probe() noexcept { return probe_; }

    /// Whether the loop runs in the simulated world, where time is exact.
    bool simulated() const noexcept;

    /// Runs what is ready, and what becomes ready by that, until the loop would wait. Returns the
    /// deadline of that wait; `TimePoint::max()` if no timer is armed. If tasks make each other
    /// ready without end, this does not return.
    TimePoint run_until_idle();

    /// Checks that nothing is left that could run: no task, and no timer.
    ///
    /// Throws: AssertionError if something is left; its text has the await tree of the tasks.
    void check_idle();

    /// Ends the generators and the default executor, as `run` does at its end, and closes the loop.
    void close();

private:
    TestLoop(std::unique_ptr<ProbeBackend> probe, LoopOptions options);

    ProbeBackend& probe_;
    EventLoop loop_;
};

/// Runs `body()`, a coroutine or another awaitable, as the main task of `loop`, checks that nothing
/// is left, and closes the loop. Returns the value of the body.
///
/// Throws: the error of the body. AssertionError if a task or a timer is left, or if the library
/// has logged a warning. In a simulated world, DeadlockError if the tasks can never continue.
template <class Body>
auto run_in(TestLoop& loop, Body&& body) {
    LogCapture log;
    auto finish = [&] {
        loop.check_idle();
        loop.close();
        log.check();
    };
    using Result = std::decay_t<decltype(loop->run_until_complete(body()))>;
    if constexpr (std::is_void_v<Result>) {
        loop->run_until_complete(body());
        finish();
    } else {
        Result result = loop->run_until_complete(body());
        finish();
        return result;
    }
}

/// Runs a test on the back-end that `ASYNCIO_BACKEND` names, with the checks of `run_in`.
template <class Body>
auto run_test(Body&& body) {
    TestLoop loop;
    return run_in(loop, body);
}

}  // namespace asyncio::testing
