// Goal: wait and as_completed take what their Python twins are given: arguments one by one,
// coroutines, sets, unlike handles.
// Method: the same tasks handed over in every shape; ends known on the loop's clock.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"

#include <array>
#include <list>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::as_completed;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Duration;
using asyncio::FIRST_COMPLETED;
using asyncio::Future;
using asyncio::FutureRef;
using asyncio::get_running_loop;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TaskRef;
using asyncio::wait;
using core_help::number_after;
using support::run_simulated;
using support::run_test;
using namespace std::chrono_literals;

Coro<std::string> text_after(Duration delay, std::string text) {
    co_await sleep(delay);
    co_return text;
}

TEST(wait, takes_handles_one_by_one) {
    run_test([]() -> Coro<> {
        const auto slow = create_task(number_after(1h, 1));
        const auto quick = create_task(number_after(1ms, 2));
        const auto result = co_await wait(slow, quick, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(result.done, std::vector{quick});
        EXPECT_EQ(result.pending, std::vector{slow});
        slow.cancel();
        co_await wait(slow);
    });
}

TEST(wait, takes_coroutines_and_runs_them_together) {
    run_simulated([]() -> Coro<> {
        const auto start = get_running_loop().time();
        const auto result = co_await wait(number_after(2s, 1), number_after(1s, 2));
        static_assert(std::is_same_v<decltype(result.done), std::vector<Task<int>>>);
        EXPECT_EQ(get_running_loop().time() - start, 2s);
        EXPECT_EQ(result.done.size(), 2u);
        EXPECT_EQ(result.done[0].result(), 1) << "in the order given";
        EXPECT_EQ(result.done[1].result(), 2);
    });
}

TEST(wait, starts_its_coroutines_when_it_is_awaited) {
    run_test([]() -> Coro<> {
        auto waiting = wait(number_after(0ms, 1), number_after(0ms, 2));
        EXPECT_EQ(asyncio::all_tasks().size(), 1u);
        const auto result = co_await std::move(waiting);
        EXPECT_EQ(result.done.size(), 2u);
    });
}

TEST(wait, of_unlike_tasks_gives_references_to_tasks) {
    run_test([]() -> Coro<> {
        const auto number = create_task(number_after(0ms, 1), {.name = "number"});
        const auto result =
            co_await wait(number, text_after(1h, "never"), {.return_when = FIRST_COMPLETED});
        static_assert(std::is_same_v<decltype(result.done), std::vector<TaskRef>>);
        EXPECT_EQ(result.done, std::vector<TaskRef>{number});
        EXPECT_EQ(result.done[0].get_name(), "number");
        EXPECT_EQ(result.pending.size(), 1u);
        for (const TaskRef& task : result.pending) task.cancel();
        co_await wait(result.pending);
        EXPECT_TRUE(result.pending[0].cancelled());
    });
}

TEST(wait, of_tasks_and_futures_gives_references_to_futures) {
    run_test([]() -> Coro<> {
        const Future<std::string> future(get_running_loop());
        get_running_loop().call_soon([&] { future.set_result("set"); });
        const auto result = co_await wait(future, number_after(0ms, 1), sleep(0ms),
                                          number_after(0ms, 2), text_after(0ms, "x"));
        static_assert(std::is_same_v<decltype(result.done), std::vector<FutureRef>>);
        EXPECT_EQ(result.done.size(), 5u);
        EXPECT_EQ(result.done[0], future);
    });
}

TEST(wait, takes_any_range) {
    run_test([]() -> Coro<> {
        const std::set<Task<int>> set{create_task(number_after(1ms, 1)),
                                      create_task(number_after(0ms, 2))};
        const auto of_set = co_await wait(set);
        EXPECT_EQ(of_set.done.size(), 2u);
        EXPECT_EQ(of_set.done, std::vector(set.begin(), set.end()));

        std::list<Coro<int>> coroutines;
        coroutines.push_back(number_after(1ms, 1));
        coroutines.push_back(number_after(0ms, 2));
        const auto of_list = co_await wait(std::move(coroutines));
        EXPECT_EQ(of_list.done.size(), 2u);

        std::array<Future<>, 2> futures{Future<>(get_running_loop()), Future<>(get_running_loop())};
        futures[1].set_result();
        const auto of_array = co_await wait(futures, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(of_array.done, std::vector{futures[1]});

        const std::vector<TaskRef> unlike{create_task(number_after(0ms, 1)),
                                          create_task(sleep(0ms))};
        const auto of_unlike = co_await wait(unlike, {.timeout = 1s});
        EXPECT_EQ(of_unlike.done, unlike);
    });
}

TEST(wait, of_an_empty_range_is_refused) {
    run_test([]() -> Coro<> {
        const std::set<Task<int>> none;
        auto waiting = wait(none);
        const auto end = co_await asyncio::internal::settle(std::move(waiting));
        EXPECT_TRUE(end.failed());
    });
}

TEST(wait, cancels_nobody_when_it_is_cancelled) {
    run_test([]() -> Coro<> {
        const Future<int> future(get_running_loop());
        const auto waiting = create_task(wait(future, number_after(1ms, 1)));
        co_await sleep(0ms);
        co_await sleep(0ms);
        EXPECT_EQ(asyncio::all_tasks().size(), 3u);
        waiting.cancel();
        co_await wait(waiting);
        EXPECT_TRUE(waiting.cancelled());
        EXPECT_FALSE(future.done());
        EXPECT_EQ(asyncio::all_tasks().size(), 2u) << "what it has started goes on";
        co_await sleep(2ms);
    });
}

TEST(as_completed, takes_awaitables_one_by_one) {
    run_test([]() -> Coro<> {
        std::vector<int> order;
        auto results =
            as_completed(number_after(3ms, 3), number_after(1ms, 1), number_after(2ms, 2));
        while (auto task = co_await results.next()) order.push_back(task->result());
        EXPECT_EQ(order, (std::vector{1, 2, 3}));
    });
}

TEST(as_completed, of_unlike_ones_gives_references) {
    run_test([]() -> Coro<> {
        const auto number = create_task(number_after(2ms, 1));
        const auto text = create_task(text_after(1ms, "x"));
        auto results = as_completed(number, text);
        const auto first = co_await results.next();
        static_assert(std::is_same_v<decltype(first), const std::optional<TaskRef>>);
        EXPECT_EQ(*first, text);
        const auto second = co_await results.next();
        EXPECT_EQ(*second, number);
        EXPECT_FALSE(co_await results.next());
    });
}

TEST(as_completed, one_by_one_has_a_timeout_too) {
    run_test([]() -> Coro<> {
        const auto slow = create_task(number_after(1h, 1));
        auto results = as_completed(slow, number_after(0ms, 2), {.timeout = 20ms});
        const auto first = co_await results.next();
        EXPECT_EQ(first->result(), 2);
        bool late = false;
        try {
            co_await results.next();
        } catch (const asyncio::TimeoutError&) {
            late = true;
        }
        EXPECT_TRUE(late);
        slow.cancel();
        co_await wait(slow);
    });
}

TEST(as_completed, one_by_one_counts_the_same_task_once) {
    run_test([]() -> Coro<> {
        const auto task = create_task(number_after(0ms, 1));
        auto results = as_completed(task, task);
        const auto only = co_await results.next();
        EXPECT_EQ(*only, task);
        const auto none = co_await results.next();
        EXPECT_FALSE(none);
    });
}

}  // namespace
