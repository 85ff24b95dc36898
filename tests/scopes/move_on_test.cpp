// Goal: a scope that just ends when its time is over: it says so, gives a value only if there is
// one, and eats nobody else's cancellation.
// Method: bodies that are too slow, quick enough, stubborn or cancelled from outside.

#include <asyncio.h>

#include "support/run_test.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::move_on_after;
using asyncio::move_on_at;
using asyncio::sleep;
using asyncio::Timeout;
using support::run_simulated;
using support::run_test;
using support::Ticks;
using namespace std::chrono_literals;

TEST(move_on_after, a_body_that_is_too_slow_is_cut_short_and_the_program_goes_on) {
    run_test([]() -> Coro<> {
        std::string trace;
        const bool cut_short = co_await move_on_after(1ms, [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "unwound";
                throw;
            }
        });
        EXPECT_TRUE(cut_short);
        EXPECT_EQ(trace, "unwound");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(move_on_after, TO_02_a_body_that_ends_in_time_is_not_cut_short_and_leaves_no_timer) {
    run_test([]() -> Coro<> {
        const bool cut_short = co_await move_on_after(1h, []() -> Coro<> { co_await sleep(1ms); });
        EXPECT_FALSE(cut_short);
        const bool unlimited =
            co_await move_on_after(std::nullopt, []() -> Coro<> { co_await sleep(1ms); });
        EXPECT_FALSE(unlimited);
    });
}

TEST(move_on_after, a_value_is_there_only_if_the_body_had_the_time) {
    run_test([]() -> Coro<> {
        const std::optional<int> in_time =
            co_await move_on_after(1h, []() -> Coro<int> { co_return 7; });
        EXPECT_EQ(in_time, 7);
        const std::optional<std::unique_ptr<int>> late =
            co_await move_on_after(1ms, []() -> Coro<std::unique_ptr<int>> {
                co_await sleep(1h);
                co_return std::make_unique<int>(7);
            });
        EXPECT_FALSE(late.has_value());
        const std::optional<bool> no =
            co_await move_on_after(1h, []() -> Coro<bool> { co_return false; });
        EXPECT_EQ(no, false);
    });
}

TEST(move_on_after, TO_04_a_limit_of_zero_expires_at_the_first_await_that_waits) {
    run_test([]() -> Coro<> {
        bool began = false;
        const bool cut_short = co_await move_on_after(0s, [&]() -> Coro<> {
            began = true;
            co_await sleep(0s);
            ADD_FAILURE();
        });
        EXPECT_TRUE(began);
        EXPECT_TRUE(cut_short);
        EXPECT_FALSE(co_await move_on_after(-1s, []() -> Coro<> { co_return; }));
        co_await sleep(0s);
    });
}

TEST(move_on_after, errors_of_the_body_leave) {
    run_test([]() -> Coro<> {
        std::string seen;
        try {
            co_await move_on_after(1ms, []() -> Coro<> {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    throw std::runtime_error("instead");
                }
            });
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "instead");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(move_on_after, TO_11_a_cancellation_from_outside_is_never_eaten) {
    run_simulated([]() -> Coro<> {
        // Long before, just before, at, and just after the deadline.
        for (int turns = 0; turns < 8; ++turns) {
            bool went_on = false;
            const auto body = [&]() -> Coro<> {
                const auto start = asyncio::get_running_loop().time();
                co_await move_on_at(start + 1ms, []() -> Coro<> { co_await sleep(1h); });
                co_await sleep(1ms);
                went_on = true;
            };
            auto task = create_task(body());
            co_await sleep(0s);
            co_await sleep(turns == 0 ? 0s : asyncio::Duration(1ms));
            for (int i = 2; i < turns; ++i) co_await sleep(0s);
            task.cancel();
            co_await asyncio::gather_settled(task);
            EXPECT_TRUE(task.cancelled()) << turns;
            EXPECT_FALSE(went_on) << turns;
            EXPECT_EQ(task.cancelling(), 1u) << turns;
        }
    });
}

TEST(move_on_after, TO_18_a_body_that_ends_although_it_was_told_to_stop_is_not_cut_short) {
    run_test([]() -> Coro<> {
        bool expired = false;
        const std::optional<int> value =
            co_await move_on_after(1ms, [&](Timeout& limit) -> Coro<int> {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                }
                expired = limit.expired();
                co_return 3;
            });
        EXPECT_EQ(value, 3);
        EXPECT_TRUE(expired);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(move_on_after, TO_06_the_outer_of_two_with_one_deadline_takes_the_cancellation) {
    run_test([]() -> Coro<> {
        const auto deadline = asyncio::get_running_loop().time() + 1ms;
        bool inner_went_on = false;
        const bool outer = co_await move_on_at(deadline, [&]() -> Coro<> {
            co_await move_on_at(deadline, []() -> Coro<> { co_await sleep(1h); });
            inner_went_on = true;
        });
        EXPECT_TRUE(outer);
        EXPECT_FALSE(inner_went_on);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(move_on_after, TO_12_the_body_may_move_its_deadline) {
    run_test([]() -> Coro<> {
        const bool cut_short = co_await move_on_after(1ms, [](Timeout& limit) -> Coro<> {
            limit.reschedule(std::nullopt);
            co_await sleep(5ms);
        });
        EXPECT_FALSE(cut_short);
    });
}

}  // namespace
