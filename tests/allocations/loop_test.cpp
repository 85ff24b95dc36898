// The loop: callbacks, timers, loops made by hand, and how a run ends, with every allocation
// failing once. How it is done is told in sweep.cpp.

#include <asyncio/event_loop.h>
#include <asyncio/generator.h>
#include <asyncio/loop_handle.h>
#include <asyncio/main.h>
#include <asyncio/run.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "parts.h"
#include "sweep.h"

#include <memory>
#include <string>
#include <vector>

using namespace asyncio;
using namespace std::chrono_literals;
using namespace allocations;

namespace {

Coro<int> status(int value) {
    co_await sleep(1ms);
    co_return value;
}

}  // namespace

SCENARIO(call_soon_with_and_without_arguments) {
    const auto count = std::make_shared<int>(0);
    const std::string text = long_text;
    EventLoop& loop = get_running_loop();
    loop.call_soon([count, text] { ++*count; });
    loop.call_soon([count](const std::string&) { ++*count; }, text);
    auto handle = loop.call_soon([count, text] { ++*count; });
    handle.cancel();
    co_await sleep(1ms);
    require(*count == 2, "calls");
}

SCENARIO(call_later_and_call_at) {
    const auto count = std::make_shared<int>(0);
    const std::string text = long_text;
    EventLoop& loop = get_running_loop();
    for (int i = 0; i < 80; ++i)
        loop.call_later(std::chrono::milliseconds(i * 7 % 50), [count, text] { ++*count; });
    loop.call_at(loop.time() + 1ms, [count, text] { ++*count; });
    loop.call_at(loop.time() + 1h, [count, text] { ++*count; }).cancel();
    co_await sleep(1s);
    require(*count == 81, "calls");
}

SCENARIO(call_later_for_ever) {
    const std::string text = long_text;
    get_running_loop().call_at(TimePoint::max(), [text] {});
    co_await sleep(1ms);
}

SCENARIO(call_soon_threadsafe_on_its_own_thread) {
    const auto count = std::make_shared<int>(0);
    const std::string text = long_text;
    get_running_loop().call_soon_threadsafe([count, text] { ++*count; });
    const LoopHandle handle(get_running_loop());
    require(handle.call_soon_threadsafe([count, text] { ++*count; }), "taken");
    co_await sleep(1ms);
    require(*count == 2, "calls");
}

SCENARIO(callback_that_throws) {
    get_running_loop().call_soon([] { throw std::logic_error(long_text); });
    co_await sleep(1ms);
}

SCENARIO(callbacks_left_to_a_loop_that_closes) {
    const std::string text = long_text;
    get_running_loop().call_soon([text] {});
    get_running_loop().call_later(1h, [text] {});
    co_return;
}

PROGRAM(loop_made_by_hand) {
    EventLoop loop;
    require(loop.run_until_complete(status(3)) == 3, "value");
    auto task = loop.create_task(status(4));
    loop.call_soon([&loop] { loop.stop(); });
    loop.run_forever();
    require(loop.run_until_complete(task) == 4, "value");
    loop.create_task(wait_for_ever());
    loop.close();
}

PROGRAM(loop_of_the_thread_set_and_got) {
    EventLoop loop;
    set_event_loop(loop);
    struct Unset {
        ~Unset() { set_event_loop(nullptr); }
    } unset;
    auto task = ensure_future(status(2), get_event_loop());
    require(loop.run_until_complete(task) == 2, "value");
}

PROGRAM(loop_in_debug_mode_with_a_slow_step) {
    run(
        []() -> Coro<> {
            get_running_loop().slow_callback_duration = 0s;
            get_running_loop().call_soon([] {});
            co_await create_task(status(1), {.name = long_text});
            auto dropped = status(1);
            co_await sleep(1ms);
        },
        {.debug = true});
}

PROGRAM(loop_in_debug_mode_with_a_circle) {
    run(
        []() -> Coro<> {
            Task<> first;
            Task<> second;
            const auto wait = [](Task<>& other) -> Coro<> {
                co_await sleep(0ms);
                co_await other;
            };
            first = create_task(wait(second));
            second = create_task(wait(first));
            co_await sleep(1ms);
            first.cancel();
        },
        {.debug = true});
}

PROGRAM(several_runs_of_a_runner) {
    Runner runner;
    require(runner.run(status(1)) == 1, "value");
    require(runner.run([] { return status(2); }) == 2, "value");
    runner.close();
}

PROGRAM(main_of_a_program) { require(asyncio::main(status(3)) == 3, "status"); }

PROGRAM(run_whose_main_coroutine_fails) {
    try {
        run([]() -> Coro<> {
            create_task(wait_for_ever());
            co_await sleep(1ms);
            throw std::logic_error(long_text);
        });
    } catch (const std::logic_error& error) {
        require(error.what() == std::string(long_text), "text");
    }
}

PROGRAM(run_that_ends_with_everything_left_over) {
    run([]() -> Coro<> {
        const std::string text = long_text;
        for (int i = 0; i < 3; ++i) create_task(wait_for_ever(), {.name = text});
        // Starts another one when it is told to end.
        create_task([]() -> Coro<> {
            try {
                co_await wait_for_ever();
            } catch (const CancelledError&) {
            }
            create_task(wait_for_ever());
            throw std::logic_error(long_text);
        });
        static auto numbers = []() -> AsyncGenerator<int> {
            const Block block;
            for (int i = 0;; ++i) co_yield i;
        };
        auto generator = numbers();
        co_await generator.next();
        get_running_loop().call_later(1h, [text] {});
        co_await sleep(1ms);
    });
}

PROGRAM(run_that_finds_itself_in_a_deadlock) {
    std::string what;
    try {
        run(
            []() -> Coro<> {
                create_task(wait_for_future(get_running_loop().create_future<int>()),
                            {.name = long_text});
                co_await get_running_loop().create_future();
            },
            {.backend = lowlevel::BackendKind::simulated});
    } catch (const DeadlockError& error) {
        what = error.what();
    }
    require(what.find(long_text) != std::string::npos, "tree");
}
