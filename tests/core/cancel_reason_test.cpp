// Goal: the reason that somebody gave for a cancellation is not lost to a request that gives none:
// a limit's, a group's, or one that comes while a cleanup holds requests back.
// Method: both kinds of request meet in one iteration, in both orders; what the body and what the
// waiter of the task are told is compared.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Future;
using asyncio::sleep;
using asyncio::Task;
using core_help::end_of;
using support::run_simulated;
using support::run_test;
using namespace std::chrono_literals;

Coro<> sleep_and_note(std::string& seen) {
    try {
        co_await sleep(1h);
    } catch (const CancelledError& cancelled) {
        seen += "[" + cancelled.message() + "]";
        throw;
    }
}

TEST(cancel_reason, CAN_26_a_limit_that_expires_in_the_same_iteration_leaves_it) {
    for (const bool limit_first : {false, true}) {
        run_simulated([limit_first]() -> Coro<> {
            auto& loop = asyncio::get_running_loop();
            const auto when = loop.time() + 10ms;
            Task<> task;
            std::string seen;
            const auto limited = [&]() -> Coro<> {
                co_await asyncio::timeout_at(when,
                                             [&]() -> Coro<> { co_await sleep_and_note(seen); });
            };
            if (!limit_first) loop.call_at(when, [&] { task.cancel("why"); });
            task = create_task(limited);
            co_await sleep(0s);
            if (limit_first) loop.call_at(when, [&] { task.cancel("why"); });
            EXPECT_EQ(co_await end_of(task), "cancelled: why");
            EXPECT_EQ(seen, "[why]");
        });
    }
}

TEST(cancel_reason, CAN_26_a_limit_leaves_it_where_the_task_waits_for_another_one_or_for_a_future) {
    for (const bool for_a_task : {false, true}) {
        run_simulated([for_a_task]() -> Coro<> {
            auto& loop = asyncio::get_running_loop();
            const auto when = loop.time() + 10ms;
            std::string seen;
            const Task<> inner = create_task(sleep_and_note(seen));
            const Future<> future = loop.create_future();
            Task<> task;
            const auto limited = [&]() -> Coro<> {
                const auto body = [&]() -> Coro<> {
                    try {
                        if (for_a_task) {
                            co_await inner;
                        } else {
                            co_await future;
                        }
                    } catch (const CancelledError& cancelled) {
                        seen += "(" + cancelled.message() + ")";
                        throw;
                    }
                };
                co_await asyncio::timeout_at(when, body);
            };
            loop.call_at(when, [&] { task.cancel("why"); });
            task = create_task(limited);
            EXPECT_EQ(co_await end_of(task), "cancelled: why");
            EXPECT_EQ(seen, for_a_task ? "[why](why)" : "(why)");
            inner.cancel();
            co_await sleep(0s);
        });
    }
}

TEST(cancel_reason, CAN_26_a_group_that_fails_in_the_same_iteration_leaves_it) {
    for (const bool group_first : {false, true}) {
        run_test([group_first]() -> Coro<> {
            const Future<> failing = asyncio::get_running_loop().create_future();
            std::string seen;
            const auto grouped = [&]() -> Coro<> {
                co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
                    const auto child = [&]() -> Coro<> {
                        co_await failing;
                        throw std::runtime_error("x");
                    };
                    group.create_task(child);
                    co_await sleep_and_note(seen);
                });
            };
            const Task<> task = create_task(grouped);
            co_await sleep(1ms);
            failing.set_result();
            co_await sleep(0s);
            // The child has failed; its group hears of it in the iteration after.
            if (group_first) co_await sleep(0s);
            task.cancel("why");
            EXPECT_EQ(co_await end_of(task), "error");
            EXPECT_EQ(seen, "[why]");
        });
    }
}

TEST(cancel_reason,
     CAN_26_one_that_comes_while_a_cleanup_holds_requests_back_leaves_with_the_limits) {
    run_simulated([]() -> Coro<> {
        for (const bool moving_on : {false, true}) {
            const auto cleaning = []() -> Coro<> {
                co_await asyncio::finally_([]() -> Coro<> { co_await sleep(1h); },
                                           []() -> Coro<> { co_await sleep(10ms); });
            };
            const auto limited = [&]() -> Coro<> {
                if (moving_on) {
                    co_await asyncio::move_on_after(2ms, cleaning);
                } else {
                    co_await asyncio::timeout(2ms, cleaning);
                }
            };
            const Task<> task = create_task(limited);
            asyncio::get_running_loop().call_later(5ms, [task] { task.cancel("outside"); });
            EXPECT_EQ(co_await end_of(task), "cancelled: outside");
            EXPECT_EQ(task.cancelling(), 1U);
        }
    });
}

TEST(cancel_reason, the_groups_own_request_and_one_held_back_by_a_cleanup_in_its_body) {
    run_simulated([]() -> Coro<> {
        const auto grouped = []() -> Coro<> {
            co_await asyncio::task_group([&](asyncio::TaskGroup& group) -> Coro<> {
                asyncio::get_running_loop().call_later(2ms, [&group] { group.cancel(); });
                co_await asyncio::finally_([]() -> Coro<> { co_await sleep(1h); },
                                           []() -> Coro<> { co_await sleep(10ms); });
            });
        };
        const Task<> task = create_task(grouped);
        asyncio::get_running_loop().call_later(5ms, [task] { task.cancel("outside"); });
        EXPECT_EQ(co_await end_of(task), "cancelled: outside");
    });
}

TEST(cancel_reason, a_reason_that_was_delivered_is_not_given_again) {
    run_simulated([]() -> Coro<> {
        // Swallowed by the task itself; by the task that it awaits; and taken back.
        std::string seen;
        const auto stubborn = [&]() -> Coro<> {
            try {
                co_await sleep_and_note(seen);
            } catch (const CancelledError&) {
            }
        };
        const auto body = [&]() -> Coro<> {
            co_await stubborn();
            const Task<> other = create_task(stubborn);
            co_await sleep(0s);
            asyncio::get_running_loop().call_later(
                1ms, [self = asyncio::current_task()] { self.cancel("second"); });
            co_await other;
            asyncio::current_task().cancel("third");
            while (asyncio::current_task().uncancel() > 0) {
            }
            co_await asyncio::timeout(1ms, [&]() -> Coro<> { co_await sleep_and_note(seen); });
        };
        const Task<> task = create_task(body);
        co_await sleep(0s);
        task.cancel("first");
        EXPECT_EQ(co_await end_of(task), "timeout");
        EXPECT_EQ(seen, "[first][second][]");
    });
}

TEST(cancel_reason, a_request_without_one_does_not_repeat_that_of_the_request_before) {
    run_simulated([]() -> Coro<> {
        std::string seen;
        const auto body = [&]() -> Coro<> {
            try {
                co_await sleep_and_note(seen);
            } catch (const CancelledError&) {
            }
            co_await sleep_and_note(seen);
        };
        const Task<> task = create_task(body);
        co_await sleep(0s);
        task.cancel("first");
        co_await sleep(0s);
        task.cancel();
        EXPECT_EQ(co_await end_of(task), "cancelled: ");
        EXPECT_EQ(seen, "[first][]");
    });
}

TEST(cancel_reason, CAN_10_of_two_reasons_the_last_one_is_delivered) {
    run_test([]() -> Coro<> {
        std::string seen;
        const Task<> task = create_task(sleep_and_note(seen));
        const Future<> future = asyncio::get_running_loop().create_future();
        const auto waits = [&]() -> Coro<> { co_await future; };
        const Task<> waiter = create_task(waits);
        co_await sleep(0s);
        for (const Task<>& each : {task, waiter}) {
            each.cancel("first");
            each.cancel("second");
            each.cancel();
        }
        EXPECT_EQ(co_await end_of(task), "cancelled: second");
        EXPECT_EQ(co_await end_of(waiter), "cancelled: second");
        EXPECT_EQ(seen, "[second]");
    });
}

TEST(cancel_reason, a_pending_one_outlives_a_limit_inside_a_cleanup) {
    run_simulated([]() -> Coro<> {
        std::string seen;
        const auto body = [&]() -> Coro<> {
            asyncio::current_task().cancel("mine");
            co_await asyncio::finally_([]() -> Coro<> { co_return; },
                                       [&]() -> Coro<> {
                                           co_await asyncio::move_on_after(1ms, [&]() -> Coro<> {
                                               co_await sleep_and_note(seen);
                                           });
                                       });
            co_await sleep_and_note(seen);
        };
        const Task<> task = create_task(body);
        EXPECT_EQ(co_await end_of(task), "cancelled: mine");
        EXPECT_EQ(seen, "[][mine]");
    });
}

}  // namespace
