// How a loop runs until it would wait: the probe stops the loop in place of the wait.

#include <asyncio/testing/test_loop.h>

#include <asyncio/executor.h>
#include <asyncio/testing/assertion_error.h>

#include <string>
#include <string_view>

namespace asyncio::testing {

TestLoop::TestLoop(LoopOptions options)
    : TestLoop(lowlevel::make_backend(options.backend), options) {}

TestLoop::TestLoop(std::unique_ptr<lowlevel::Backend> backend, LoopOptions options)
    : TestLoop(std::make_unique<ProbeBackend>(std::move(backend)), options) {}

TestLoop::TestLoop(std::unique_ptr<ProbeBackend> probe, LoopOptions options)
    : probe_(*probe), loop_(std::move(probe), options) {}

bool TestLoop::simulated() const noexcept {
    return std::string_view(loop_.backend_name()) == "simulated";
}

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

void TestLoop::check_idle() {
    const TimePoint deadline = run_until_idle();
    if (!all_tasks(loop_).empty()) {
        throw AssertionError("these tasks are left at the end of the test:\n" +
                             format_tasks(loop_));
    }
    if (deadline != TimePoint::max())
        throw AssertionError("a timer is left at the end of the test");
}

void TestLoop::close() {
    if (loop_.is_closed()) return;
    loop_.run_until_complete(loop_.shutdown_asyncgens());
    loop_.run_until_complete(loop_.shutdown_default_executor());
    loop_.close();
}

}  // namespace asyncio::testing
