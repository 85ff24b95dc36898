// Goal: `settle` tells as a value how awaiting ended, and has the value that `co_await` gives: from
// a handle that stays it takes nothing away.
// Method: futures and tasks that stay and that go, with values that are counted, move only, or are
// references; errors and cancellations of either side.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::Future;
using asyncio::Outcome;
using asyncio::sleep;
using asyncio::Task;
using asyncio::internal::settle;
using core_help::fail_after;
using core_help::number_after;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

template <class T>
Future<T> new_future() {
    return asyncio::get_running_loop().create_future<T>();
}

TEST(settle, a_handle_that_stays_keeps_its_value) {
    run_test([]() -> Coro<> {
        auto future = new_future<std::unique_ptr<int>>();
        asyncio::get_running_loop().call_soon(
            [future] { future.set_result(std::make_unique<int>(7)); });
        const auto outcome = co_await settle(future);
        static_assert(
            std::is_same_v<decltype(outcome), const Outcome<const std::unique_ptr<int>&>>);
        EXPECT_EQ(&outcome.value(), &future.result());
        EXPECT_EQ(*outcome.value(), 7);
        const auto again = co_await settle(future);
        EXPECT_EQ(&again.value(), &outcome.value());
        const std::unique_ptr<int> taken = co_await std::move(future);
        EXPECT_EQ(*taken, 7);
    });
}

TEST(settle, a_handle_that_stays_has_its_value_seen_and_not_copied) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<Tracked> {
            co_await sleep(0s);
            co_return Tracked(3);
        };
        const Task<Tracked> task = create_task(body());
        const auto outcome = co_await settle(task);
        EXPECT_EQ(outcome.value().number(), 3);
        EXPECT_EQ(Tracked::alive(), 1);
    });
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(settle, what_is_moved_in_gives_its_value_away) {
    run_test([]() -> Coro<> {
        auto future = new_future<std::unique_ptr<int>>();
        future.set_result(std::make_unique<int>(7));
        Outcome<std::unique_ptr<int>> outcome = co_await settle(std::move(future));
        EXPECT_EQ(*outcome.value(), 7);
        const auto number = co_await settle(create_task(number_after(1ms, 8)));
        EXPECT_EQ(number.value(), 8);
    });
}

TEST(settle, a_reference_stays_one_and_nothing_stays_nothing) {
    run_test([]() -> Coro<> {
        int target = 1;
        const auto refer = [&]() -> Coro<int&> { co_return target; };
        const auto task = create_task(refer());
        const Outcome<int&> outcome = co_await settle(task);
        EXPECT_EQ(&outcome.value(), &target);
        const auto nothing = create_task([]() -> Coro<> { co_return; }());
        const Outcome<void> ended = co_await settle(nothing);
        EXPECT_TRUE(ended.has_value());
    });
}

TEST(settle, errors_and_cancellations_of_a_handle_that_stays_are_values) {
    run_test([]() -> Coro<> {
        const auto failing = create_task(fail_after<int>(0s, "broken"));
        const auto failed = co_await settle(failing);
        EXPECT_FALSE(failed.cancelled());
        EXPECT_EQ(asyncio::describe(failed.error()), "broken");
        const auto future = new_future<int>();
        future.cancel("why");
        const auto cancelled = co_await settle(future);
        EXPECT_TRUE(cancelled.cancelled());
        EXPECT_EQ(asyncio::describe(cancelled.error()), "cancelled: why");
    });
}

template <class T>
Coro<> tell_the_error_of(const Future<T>& future, std::string& end) {
    const auto outcome = co_await settle(future);
    end = asyncio::describe(outcome.error());
}

TEST(settle, a_cancellation_of_the_one_who_awaits_a_handle_that_stays_is_a_value) {
    run_test([]() -> Coro<> {
        const auto future = new_future<std::string>();
        std::string end;
        auto task = create_task(tell_the_error_of(future, end));
        co_await sleep(0s);
        task.cancel("enough");
        co_await task;
        EXPECT_EQ(end, "cancelled: enough");
        EXPECT_TRUE(future.cancelled());
    });
}

TEST(settle, one_that_was_done_and_a_request_that_came_before_give_the_request) {
    run_test([]() -> Coro<> {
        const auto future = new_future<int>();
        std::string end;
        auto task = create_task(tell_the_error_of(future, end));
        co_await sleep(0s);
        future.set_result(1);
        task.cancel("too late for the future");
        co_await task;
        EXPECT_EQ(end, "cancelled: too late for the future");
        EXPECT_EQ(future.result(), 1);
    });
}

}  // namespace
