// Goal: tasks are given out in the order in which they end, each once, and the same that were put
// in; a time limit is felt at each that is left.
// Method: tasks of known length; consumers that stop, go on, are cancelled, or are two.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::as_completed;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TimeoutError;
using core_help::number_after;
using support::run_simulated;
using support::run_test;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

std::vector<Coro<int>> three() {
    std::vector<Coro<int>> coroutines;
    coroutines.push_back(number_after(3ms, 1));
    coroutines.push_back(number_after(1ms, 2));
    coroutines.push_back(number_after(2ms, 3));
    return coroutines;
}

TEST(as_completed, GATH_16_gives_what_has_ended_in_the_order_of_its_end) {
    run_simulated([]() -> Coro<> {
        std::vector<int> order;
        auto done = as_completed(three());
        while (auto task = co_await done.next()) {
            EXPECT_TRUE(task->done());
            order.push_back(co_await std::move(*task));
        }
        EXPECT_EQ(order, (std::vector<int>{2, 3, 1}));
        EXPECT_FALSE((co_await done.next()).has_value()) << "the end stays the end";
    });
}

TEST(as_completed, GATH_16_gives_the_tasks_that_were_put_in) {
    run_simulated([]() -> Coro<> {
        std::vector<Task<int>> tasks;
        for (auto& coroutine : three()) tasks.push_back(create_task(std::move(coroutine)));
        auto done = as_completed(tasks);
        EXPECT_EQ(co_await done.next(), tasks[1]);
        EXPECT_EQ(co_await done.next(), tasks[2]);
        EXPECT_EQ(co_await done.next(), tasks[0]);
    });
}

TEST(as_completed, GATH_16_errors_and_cancellations_are_the_tasks_own) {
    run_test([]() -> Coro<> {
        const auto fail = []() -> Coro<int> {
            co_await sleep(0s);
            throw std::runtime_error("broken");
        };
        std::vector<Task<int>> tasks{create_task(fail()), create_task(number_after(1h, 1))};
        tasks[1].cancel();
        auto done = as_completed(tasks);
        std::string trace;
        while (auto task = co_await done.next())
            trace += task->cancelled() ? "cancelled " : asyncio::describe(task->exception()) + " ";
        EXPECT_EQ(trace, "cancelled broken ");
    });
}

TEST(as_completed, GATH_16_one_given_twice_comes_once_and_of_none_comes_none) {
    run_test([]() -> Coro<> {
        const auto task = create_task(number_after(1ms, 1));
        auto done = as_completed(std::vector{task, task});
        EXPECT_EQ(co_await done.next(), task);
        EXPECT_FALSE((co_await done.next()).has_value());
        auto nothing = as_completed(std::vector<Task<int>>(), {.timeout = 1h});
        EXPECT_FALSE((co_await nothing.next()).has_value());
    });
}

TEST(as_completed, GATH_16_the_consumer_goes_on_two_iterations_after_the_task_has_ended) {
    run_test([]() -> Coro<> {
        const Ticks ticks;
        int ended = 0;
        const auto child = [&]() -> Coro<> {
            co_await sleep(0s);
            co_await sleep(0s);
            ended = ticks.count();
        };
        std::vector<Task<>> tasks{create_task(child())};
        auto done = as_completed(tasks);
        co_await done.next();
        EXPECT_EQ(ticks.count(), ended + 2);
        const int before = ticks.count();
        EXPECT_FALSE((co_await done.next()).has_value());
        EXPECT_EQ(ticks.count(), before);
    });
}

TEST(as_completed, GATH_17_when_the_time_is_over_each_that_is_left_throws) {
    run_simulated([]() -> Coro<> {
        std::vector<Task<int>> tasks;
        for (auto& coroutine : three()) tasks.push_back(create_task(std::move(coroutine)));
        auto done = as_completed(tasks, {.timeout = 1500us});
        EXPECT_EQ(co_await done.next(), tasks[1]);
        int late = 0;
        for (int i = 0; i < 2; ++i) {
            try {
                co_await done.next();
            } catch (const TimeoutError&) {
                ++late;
            }
        }
        EXPECT_EQ(late, 2);
        EXPECT_FALSE((co_await done.next()).has_value());
        EXPECT_EQ(co_await tasks[0], 1) << "the tasks go on";
    });
}

TEST(as_completed, GATH_17_what_is_done_in_time_can_be_taken_afterwards) {
    run_simulated([]() -> Coro<> {
        auto done = as_completed(three(), {.timeout = 1500us});
        co_await sleep(5ms);
        EXPECT_EQ(co_await *co_await done.next(), 2);
        EXPECT_THROW(co_await done.next(), TimeoutError);
    });
}

TEST(as_completed, GATH_17_a_limit_that_is_not_reached_leaves_no_timer) {
    // `run_test` looks for timers that are left.
    run_simulated([]() -> Coro<> {
        auto done = as_completed(three(), {.timeout = 1h});
        while (auto task = co_await done.next()) {
        }
    });
    run_simulated([]() -> Coro<> {
        {
            auto dropped = as_completed(three(), {.timeout = 1h});
        }
        co_await sleep(5ms);
    });
}

TEST(as_completed, GATH_18_can_be_left_and_taken_up_again) {
    run_simulated([]() -> Coro<> {
        std::vector<int> order;
        auto done = as_completed(three());
        while (auto task = co_await done.next()) {
            order.push_back(co_await *task);
            break;
        }
        co_await sleep(5ms);
        while (auto task = co_await done.next()) order.push_back(co_await *task);
        EXPECT_EQ(order, (std::vector<int>{2, 3, 1}));
    });
}

TEST(as_completed, GATH_18_a_cancelled_wait_loses_nothing) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 8; ++turns) {
            int taken = 0;
            std::vector<Task<int>> tasks{create_task(number_after(0s, 1)),
                                         create_task(number_after(0s, 2))};
            auto done = as_completed(tasks);
            const auto consume = [&]() -> Coro<> {
                while (auto task = co_await done.next()) ++taken;
            };
            auto consumer = create_task(consume());
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            consumer.cancel();
            co_await asyncio::gather_settled(consumer);
            co_await consume();
            EXPECT_EQ(taken, 2) << turns;
        }
    });
}

TEST(as_completed, several_consumers_share_the_tasks) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        auto done = as_completed(three());
        const auto consume = [&](char name) -> Coro<> {
            while (auto task = co_await done.next()) {
                trace += name;
                trace += std::to_string(co_await *task) + " ";
            }
            trace += name;
        };
        co_await asyncio::gather(consume('a'), consume('b'));
        EXPECT_EQ(trace, "a2 b3 ba1 a");
    });
}

TEST(as_completed, CPP_11_an_await_in_the_condition_of_a_loop_destroys_what_it_gives_once) {
    run_test([]() -> Coro<> {
        const auto make = []() -> Coro<Tracked> {
            co_await sleep(0s);
            co_return Tracked(1);
        };
        int alive_at_most = 0;
        {
            std::vector<Coro<Tracked>> coroutines;
            for (int i = 0; i < 5; ++i) coroutines.push_back(make());
            auto done = as_completed(std::move(coroutines));
            while (auto task = co_await done.next()) {
                const Tracked value = co_await std::move(*task);
                EXPECT_EQ(value.number(), 1);
                alive_at_most = std::max(alive_at_most, Tracked::alive());
            }
        }
        EXPECT_GE(alive_at_most, 1);
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

}  // namespace
