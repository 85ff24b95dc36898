// Goal: wait returns when its condition holds, says who is done and who is not, and touches nobody.
// Method: tasks with known ends on the loop's clock; iterations counted.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Duration;
using asyncio::sleep;
using asyncio::Task;
using asyncio::wait;
using core_help::fail_after;
using core_help::number_after;
using support::run_test;
using support::Ticks;
using namespace std::chrono_literals;

std::vector<Task<int>> tasks_ending_after(std::initializer_list<Duration> delays) {
    std::vector<Task<int>> tasks;
    int number = 0;
    for (const Duration delay : delays) tasks.push_back(create_task(number_after(delay, number++)));
    return tasks;
}

Coro<> end_all(std::vector<Task<int>> tasks) {
    for (const Task<int>& task : tasks) task.cancel();
    co_await asyncio::gather_settled(tasks);
}

TEST(wait, for_all_returns_when_the_last_is_done) {
    run_test([]() -> Coro<> {
        const auto tasks = tasks_ending_after({3ms, 1ms, 2ms});
        const auto result = co_await wait(tasks);
        EXPECT_EQ(result.done, tasks) << "in the order given";
        EXPECT_TRUE(result.pending.empty());
    });
}

TEST(wait, GATH_12_an_expired_timeout_cancels_nobody_and_throws_nothing) {
    run_test([]() -> Coro<> {
        const auto tasks = tasks_ending_after({1h, 1ms, 1h});
        const auto result = co_await wait(tasks, {.timeout = 20ms});
        EXPECT_EQ(result.done, std::vector{tasks[1]});
        EXPECT_EQ(result.pending, (std::vector{tasks[0], tasks[2]}));
        EXPECT_EQ(tasks[0].cancelling(), 0u);
        co_await end_all(tasks);
    });
}

TEST(wait, cancelled_in_the_step_in_which_its_time_passes_it_leaves_once) {
    run_test([]() -> Coro<> {
        const auto future = asyncio::get_running_loop().create_future();
        const auto body = [&]() -> Coro<> {
            const std::vector<asyncio::Future<>> futures{future};
            co_await wait(futures, {.timeout = 1ms});
        };
        auto task = create_task(body());
        co_await sleep(0s);
        task.cancel();
        // Its turn and its deadline come in the same iteration, the turn first.
        std::this_thread::sleep_for(2ms);
        co_await sleep(0s);
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(wait, a_timeout_of_nothing_still_lets_one_iteration_pass) {
    run_test([]() -> Coro<> {
        const auto tasks = tasks_ending_after({0s, 1h});
        const auto result = co_await wait(tasks, {.timeout = 0s});
        EXPECT_LE(result.done.size(), 1u);
        EXPECT_GE(result.pending.size(), 1u);
        co_await end_all(tasks);
    });
}

TEST(wait, GATH_13_first_completed_returns_all_that_ended_in_the_same_iteration) {
    run_test([]() -> Coro<> {
        auto a = create_task(number_after(0s, 1));
        auto b = create_task(number_after(0s, 2));
        auto c = create_task(number_after(1h, 3));
        const std::vector<Task<int>> tasks{a, b, c};
        const auto result = co_await wait(tasks, {.return_when = asyncio::FIRST_COMPLETED});
        EXPECT_EQ(result.done, (std::vector{a, b}));
        EXPECT_EQ(result.pending, std::vector{c});
        co_await end_all(tasks);
    });
}

TEST(wait, first_completed_with_one_that_is_done_already_takes_two_iterations) {
    // As in Python: one for the news, one for the waiter.
    run_test([]() -> Coro<> {
        auto done = create_task(number_after(0s, 1));
        co_await done;
        const Ticks ticks;
        const int before = ticks.count();
        const std::vector<Task<int>> tasks{done};
        const auto result = co_await wait(tasks, {.return_when = asyncio::FIRST_COMPLETED});
        EXPECT_EQ(ticks.count(), before + 2);
        EXPECT_EQ(result.done.size(), 1u);
    });
}

TEST(wait, first_exception_returns_for_an_error_and_not_for_a_cancellation) {
    run_test([]() -> Coro<> {
        auto value = create_task(number_after(1ms, 1));
        auto cancelled = create_task(number_after(1h, 2));
        auto failed = create_task(fail_after<int>(5ms, "broken"));
        auto late = create_task(number_after(1h, 3));
        asyncio::get_running_loop().call_later(2ms, [&] { cancelled.cancel(); });
        const std::vector<Task<int>> tasks{value, cancelled, failed, late};
        const auto result = co_await wait(tasks, {.return_when = asyncio::FIRST_EXCEPTION});
        EXPECT_EQ(result.done, (std::vector{value, cancelled, failed}));
        EXPECT_EQ(result.pending, std::vector{late});
        EXPECT_NE(failed.exception(), nullptr);
        co_await end_all(tasks);
    });
}

TEST(wait, first_exception_without_any_waits_for_all) {
    run_test([]() -> Coro<> {
        const auto tasks = tasks_ending_after({1ms, 3ms});
        const auto result = co_await wait(tasks, {.return_when = asyncio::FIRST_EXCEPTION});
        EXPECT_EQ(result.done.size(), 2u);
    });
}

TEST(wait, GATH_15_cancelling_it_leaves_the_tasks_alone_and_no_trace_in_them) {
    run_test([]() -> Coro<> {
        auto future = asyncio::get_running_loop().create_future<int>();
        const std::vector<asyncio::Future<int>> futures(1, future);
        for (int i = 0; i < 1000; ++i) {
            const auto body = [&]() -> Coro<> { co_await wait(futures, {.timeout = 1h}); };
            auto waiting = create_task(body());
            co_await sleep(0s);
            waiting.cancel();
            co_await asyncio::gather_settled(waiting);
            EXPECT_TRUE(waiting.cancelled());
        }
        EXPECT_FALSE(future.done());
        future.set_result(1);
    });
}

TEST(wait, many_waits_on_one_future_that_time_out_leave_no_trace) {
    run_test([]() -> Coro<> {
        auto future = asyncio::get_running_loop().create_future<int>();
        const std::vector<asyncio::Future<int>> futures(1, future);
        for (int i = 0; i < 1000; ++i) {
            const auto result = co_await wait(futures, {.timeout = 0s});
            EXPECT_TRUE(result.done.empty());
        }
        future.set_result(1);
        const auto result = co_await wait(futures);
        EXPECT_EQ(result.done.size(), 1u);
    });
}

TEST(wait, the_timer_is_gone_when_it_returns_early) {
    run_test([]() -> Coro<> {
        const auto tasks = tasks_ending_after({1ms});
        co_await wait(tasks, {.timeout = 24h});
        // `run_test` fails if a timer is left.
    });
}

TEST(wait, for_nothing_is_an_error) {
    run_test([]() -> Coro<> {
        bool refused = false;
        try {
            co_await wait(std::vector<Task<int>>());
        } catch (const std::invalid_argument&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
    });
}

TEST(wait, errors_of_the_tasks_stay_with_the_tasks) {
    run_test([]() -> Coro<> {
        std::vector<Task<int>> tasks{create_task(fail_after<int>(1ms, "broken")),
                                     create_task(number_after(1ms, 1))};
        const auto result = co_await wait(tasks);
        EXPECT_EQ(result.done.size(), 2u);
        EXPECT_THROW(tasks[0].result(), std::runtime_error);
        EXPECT_EQ(tasks[1].result(), 1);
    });
}

TEST(wait, its_waiter_resumes_two_iterations_after_the_end_it_waits_for) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        int ended_at = 0;
        const auto part = [&]() -> Coro<int> {
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            ended_at = ticks.count();
            co_return 1;
        };
        const std::vector<Task<int>> tasks{create_task(part())};
        co_await wait(tasks);
        EXPECT_EQ(ticks.count(), ended_at + 2);
    });
}

}  // namespace
