// Goal: a loop can be named before it runs, as old programs do, and a name never outlives its loop.
// Method: loops made by hand, on this thread and on others.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/log_capture.h"

#include <memory>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::get_event_loop;
using asyncio::new_event_loop;
using asyncio::RuntimeError;
using asyncio::set_event_loop;
using core_help::number_after;
using support::LogCapture;
using namespace std::chrono_literals;

/// Calls `function` on a thread that has no current loop yet.
template <class Function>
void on_new_thread(Function function) {
    std::thread(function).join();
}

TEST(current_loop, is_the_one_that_was_set) {
    on_new_thread([] {
        auto loop = new_event_loop();
        set_event_loop(loop);
        EXPECT_EQ(&get_event_loop(), &loop);
    });
}

TEST(current_loop, a_thread_has_none_unless_it_is_set) {
    on_new_thread([] { EXPECT_THROW(get_event_loop(), RuntimeError); });
}

TEST(current_loop, the_main_thread_gets_one_when_it_asks_and_keeps_it) {
    EventLoop& loop = get_event_loop();
    EXPECT_EQ(loop.run_until_complete(number_after(0ms, 7)), 7);
    EXPECT_EQ(&get_event_loop(), &loop);
    on_new_thread([] { EXPECT_THROW(get_event_loop(), RuntimeError); });
    set_event_loop(nullptr);
    EXPECT_THROW(get_event_loop(), RuntimeError) << "none was wanted";
}

TEST(current_loop, the_loop_that_runs_comes_first) {
    on_new_thread([] {
        auto current = new_event_loop();
        set_event_loop(current);
        EventLoop running;
        running.call_soon([&] {
            EXPECT_EQ(&get_event_loop(), &running);
            running.stop();
        });
        running.run_forever();
        EXPECT_EQ(&get_event_loop(), &current);
    });
}

TEST(current_loop, one_that_has_gone_is_current_no_more) {
    on_new_thread([] {
        auto loop = std::make_unique<EventLoop>();
        set_event_loop(*loop);
        loop.reset();
        EXPECT_THROW(get_event_loop(), RuntimeError);
        EXPECT_THROW(asyncio::ensure_future(number_after(0ms, 1)), RuntimeError);
    });
}

TEST(current_loop, one_that_goes_on_another_thread_is_current_no_more) {
    on_new_thread([] {
        auto loop = std::make_unique<EventLoop>();
        set_event_loop(*loop);
        on_new_thread([&] { loop.reset(); });
        EXPECT_THROW(get_event_loop(), RuntimeError);
    });
}

TEST(current_loop, stays_while_another_one_is_run) {
    on_new_thread([] {
        auto loop = new_event_loop();
        set_event_loop(loop);
        asyncio::run(number_after(0ms, 1), {.sigint = asyncio::Sigint::ignore});
        EXPECT_EQ(&get_event_loop(), &loop);
    });
}

TEST(current_loop, takes_tasks_before_it_runs) {
    on_new_thread([] {
        const LogCapture log;
        auto loop = new_event_loop();
        set_event_loop(loop);
        std::vector tasks{asyncio::ensure_future(number_after(2ms, 1)),
                          asyncio::ensure_future(number_after(1ms, 2))};
        EXPECT_FALSE(tasks[0].done());
        const auto result = loop.run_until_complete(asyncio::wait(tasks));
        EXPECT_EQ(result.done, tasks);
    });
}

TEST(current_loop, gathers_before_it_runs) {
    on_new_thread([] {
        const LogCapture log;
        auto loop = new_event_loop();
        set_event_loop(loop);
        const auto values =
            loop.run_until_complete(asyncio::gather(number_after(1ms, 1), number_after(0ms, 2)));
        EXPECT_EQ(values, std::make_tuple(1, 2));
    });
}

TEST(current_loop, asking_for_a_task_makes_none) {
    on_new_thread([] {
        EXPECT_THROW(asyncio::gather(number_after(0ms, 1)), RuntimeError);
        EXPECT_THROW(asyncio::ensure_future(number_after(0ms, 1)), RuntimeError);
        EXPECT_THROW(asyncio::create_task(number_after(0ms, 1)), RuntimeError);
    });
}

}  // namespace
