// Goal: neither the depth of a recursion of coroutines nor the number of awaits that end at once
// uses up the stack, at any optimisation level.
// Method: recursions and loops far beyond what a stack of 8 MiB could hold if each level or turn
// used any of it. Smaller where each step is slow.

#include <asyncio.h>

#include "support/run_test.h"
#include "support/sanitizer.h"

#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::Task;
using support::run_test;
using namespace std::chrono_literals;

#if defined(__OPTIMIZE__)
constexpr int million = 1'000'000;
#else
constexpr int million = 300'000;
#endif

Coro<int> descend(int levels) {
    if (levels == 0) co_return 0;
    co_return 1 + co_await descend(levels - 1);
}

Coro<int> descend_and_wait(int levels) {
    if (levels == 0) {
        co_await asyncio::sleep(0s);
        co_return 0;
    }
    co_return 1 + co_await descend_and_wait(levels - 1);
}

/// Waits on the way down and on the way up.
Coro<int> descend_waiting(int levels) {
    if (levels == 0) co_return 0;
    if (levels % 1000 == 0) co_await asyncio::sleep(0s);
    const int below = co_await descend_waiting(levels - 1);
    if (levels % 999 == 0) co_await asyncio::sleep(0s);
    co_return below + 1;
}

Coro<int> descend_and_throw(int levels) {
    if (levels == 0) throw std::runtime_error("the bottom");
    co_return 1 + co_await descend_and_throw(levels - 1);
}

TEST(depth, TASK_17_a_recursion_a_million_deep_returns) {
    run_test([]() -> Coro<> {
        const int levels = co_await descend(million);
        EXPECT_EQ(levels, million);
    });
}

TEST(depth, TASK_17_a_recursion_that_parks_at_the_bottom_returns) {
    run_test([]() -> Coro<> {
        const int levels = co_await descend_and_wait(million);
        EXPECT_EQ(levels, million);
    });
}

TEST(depth, TASK_17_a_recursion_that_parks_on_the_way_returns) {
    run_test([]() -> Coro<> {
        const int levels = co_await descend_waiting(million);
        EXPECT_EQ(levels, million);
    });
}

TEST(depth, TASK_17_many_recursions_stand_beside_each_other) {
    run_test([]() -> Coro<> {
        std::vector<Coro<int>> deep;
        for (int i = 0; i < 20; ++i) deep.push_back(descend_waiting(10'000));
        const std::vector<int> levels = co_await asyncio::gather(std::move(deep));
        for (const int each : levels) EXPECT_EQ(each, 10'000);
    });
}

TEST(depth, TASK_17_an_error_rises_from_the_bottom) {
    run_test([]() -> Coro<> {
        bool caught = false;
        try {
            co_await descend_and_throw(20'000);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT_TRUE(caught);
    });
}

TEST(depth, TASK_17_a_cancellation_rises_from_the_bottom) {
    run_test([]() -> Coro<> {
        auto task = asyncio::create_task(descend_and_wait(20'000));
        co_await asyncio::sleep(0s);
        task.cancel();
        const auto outcome = co_await asyncio::gather_settled(task);
        EXPECT_TRUE(std::get<0>(outcome).cancelled());
    });
}

TEST(depth, TASK_17_a_loop_of_ten_million_children_that_end_at_once_ends) {
    run_test([]() -> Coro<> {
        const auto one = []() -> Coro<int> { co_return 1; };
        int sum = 0;
        for (int i = 0; i < 10 * million; ++i) sum += co_await one();
        EXPECT_EQ(sum, 10 * million);
    });
}

TEST(depth, TASK_17_a_loop_over_a_future_that_is_done_ends) {
    run_test([]() -> Coro<> {
        auto future = asyncio::get_running_loop().create_future<int>();
        future.set_result(1);
        int sum = 0;
        for (int i = 0; i < million; ++i) sum += co_await future;
        EXPECT_EQ(sum, million);
    });
}

TEST(depth, TASK_17_a_loop_of_scopes_that_end_at_once_ends) {
    run_test([]() -> Coro<> {
        int sum = 0;
        for (int i = 0; i < million / 10; ++i) {
            sum += co_await asyncio::timeout(1s, [&]() -> Coro<int> { co_return 1; });
            co_await asyncio::task_group([&](asyncio::TaskGroup&) -> Coro<> { co_return; });
        }
        EXPECT_EQ(sum, million / 10);
    });
}

TEST(depth, scopes_nest_deeply) {
    struct Nest {
        static Coro<int> timeouts(int levels) {
            if (levels == 0) co_return 0;
            int below = co_await asyncio::timeout(
                1s, [&]() -> Coro<int> { co_return co_await timeouts(levels - 1); });
            co_return below + 1;
        }
        static Coro<> groups(int levels) {
            if (levels == 0) co_return;
            co_await asyncio::task_group(
                [&](asyncio::TaskGroup&) -> Coro<> { co_await groups(levels - 1); });
        }
    };
    run_test([]() -> Coro<> {
        const int levels = co_await Nest::timeouts(10'000);
        EXPECT_EQ(levels, 10'000);
        co_await Nest::groups(10'000);
    });
}

/// Each task awaits the one before.
Coro<int> follow(Task<int> before) {
    const int number = co_await before;
    co_return number + 1;
}

Coro<int> first_of_chain() {
    co_await asyncio::sleep(1ms);
    co_return 0;
}

TEST(depth, a_chain_of_tasks_that_await_each_other_ends) {
    run_test([]() -> Coro<> {
        Task<int> last = asyncio::create_task(first_of_chain());
        for (int i = 0; i < 10'000; ++i) last = asyncio::create_task(follow(std::move(last)));
        const int length = co_await last;
        EXPECT_EQ(length, 10'000);
    });
}

// A cancellation passes from task to task by a call, so the length of a chain is bounded by the
// stack; a sanitizer's frames are several times as large.
constexpr int cancelled_chain = support::under_address_sanitizer ? 2'000 : 10'000;

TEST(depth, CAN_04_a_chain_of_tasks_that_await_each_other_is_cancelled_at_its_last) {
    run_test([]() -> Coro<> {
        Task<int> last = asyncio::create_task(first_of_chain());
        const Task<int> first = last;
        for (int i = 0; i < cancelled_chain; ++i)
            last = asyncio::create_task(follow(std::move(last)));
        co_await asyncio::sleep(0s);
        EXPECT_TRUE(last.cancel());
        const auto outcome = co_await asyncio::gather_settled(last);
        EXPECT_TRUE(std::get<0>(outcome).cancelled());
        EXPECT_TRUE(first.cancelled());
    });
}

}  // namespace
