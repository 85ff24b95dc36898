// Subscriptions to signals, with every allocation failing once on each back-end. How it is done is
// told in sweep.cpp.

#include <asyncio/signals.h>
#include <asyncio/task_group.h>

#include "parts.h"
#include "sweep.h"

#include <csignal>
#include <string>
#include <utility>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

/// SIGURG does nothing by default: one that comes when the subscription has failed is no harm.
constexpr int urgent = SIGURG;

void require_default() {
    struct sigaction now{};
    ::sigaction(urgent, nullptr, &now);
    require(now.sa_handler == SIG_DFL, "the disposition of before");
}

}  // namespace

SCENARIO_EVERYWHERE(signal_subscriptions) {
    std::exception_ptr error;
    int calls = 0;
    try {
        const auto add = [](int& to, const std::string& text) { to += text.empty() ? 0 : 1; };
        const auto first = on_signal(urgent, [&calls, block = Block()] { ++calls; });
        const auto second = on_signal(urgent, add, std::ref(calls), std::string(long_text));
        ::raise(urgent);
        while (calls < 2) co_await sleep(0s);
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    require_default();
    if (error != nullptr) std::rethrow_exception(error);
}

SCENARIO_EVERYWHERE(signal_handlers_of_the_loop) {
    EventLoop& loop = get_running_loop();
    std::exception_ptr error;
    // Not in the frame: without memory for the sleep the handlers outlive it.
    static int calls;
    calls = 0;
    try {
        loop.add_signal_handler(urgent, [] { ++calls; });
        loop.add_signal_handler(urgent, [block = Block()] { calls += 10; });
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    // The first stays if the second fails.
    ::raise(urgent);
    co_await sleep(1ms);
    if (error == nullptr) require(calls == 10, "the second");
    if (loop.remove_signal_handler(urgent)) require(calls == 1 || calls == 10, "one of them");
    require_default();
    if (error != nullptr) std::rethrow_exception(error);
}

SCENARIO_EVERYWHERE(signal_stream) {
    std::exception_ptr error;
    try {
        const SignalStream signals({urgent, SIGWINCH});
        const auto next = [&]() -> Coro<> { co_await signals.next(); };
        co_await task_group([&](TaskGroup& group) -> Coro<> {
            group.create_task(next());
            group.create_task(next());
            co_await sleep(1ms);
            ::raise(urgent);
            ::raise(SIGWINCH);
        });
        ::raise(urgent);
        co_await signals.next();
    } catch (const std::bad_alloc&) {
        error = std::current_exception();
    }
    require_default();
    if (error != nullptr) std::rethrow_exception(error);
}

PROGRAM(run_that_listens_to_signals) {
    bool terminated = false;
    const auto main = []() -> Coro<> {
        ::raise(urgent);
        co_await sleep(1h);
    };
    try {
        run(main(), {.backend = lowlevel::BackendKind::simulated,
                     .terminate_on = {SIGTERM, urgent, SIGHUP}});
    } catch (const Terminated&) {
        terminated = true;
    }
    require_default();
    require(terminated, "terminated");
}
