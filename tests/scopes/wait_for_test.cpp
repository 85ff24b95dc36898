// Goal: wait_for returns what came in time, cancels and waits for what did not, and loses neither a
// value nor a cancellation where they meet the deadline.
// Method: deadlines on the loop's clock; where two things must fall into one iteration, they are
// done in one callback.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Duration;
using asyncio::sleep;
using asyncio::Task;
using asyncio::TimeoutError;
using asyncio::wait_for;
using core_help::number_after;
using support::MoveOnly;
using support::run_test;
using support::Tracked;
using namespace std::chrono_literals;

/// Whether awaiting it ended in a TimeoutError.
template <class Awaitable>
Coro<bool> times_out(Awaitable awaitable) {
    bool timed_out = false;
    try {
        co_await std::move(awaitable);
    } catch (const TimeoutError&) {
        timed_out = true;
    }
    co_return timed_out;
}

TEST(wait_for, WF_01_what_ends_in_time_gives_its_value_and_leaves_no_timer) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(co_await wait_for(number_after(1ms, 7), 1h), 7);
        co_await wait_for(sleep(1ms), 1h);
        auto task = create_task(number_after(1ms, 8));
        EXPECT_EQ(co_await wait_for(task, 1h), 8);
        EXPECT_EQ(task.result(), 8);
        auto future = asyncio::get_running_loop().create_future<int>();
        future.set_result(9);
        EXPECT_EQ(co_await wait_for(future, 1h), 9);
    });
}

TEST(wait_for, without_a_limit_it_waits_as_long_as_it_takes) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(co_await wait_for(number_after(2ms, 7), std::nullopt), 7);
        EXPECT_EQ(co_await wait_for(number_after(2ms, 7), Duration::max()), 7);
    });
}

TEST(wait_for, what_takes_too_long_is_cancelled_at_the_deadline) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        const asyncio::TimePoint start = loop.time();
        const bool timed_out = co_await times_out(wait_for(number_after(1h, 1), 5ms));
        EXPECT_TRUE(timed_out);
        EXPECT_GE(loop.time() - start, 5ms);
        EXPECT_LT(loop.time() - start, 10s);
        EXPECT_EQ(asyncio::current_task().cancelling(), 0u);
    });
}

TEST(wait_for, WF_02_a_limit_of_nothing_does_not_start_a_coroutine) {
    run_test([]() -> Coro<> {
        for (const Duration limit : {Duration(0s), Duration(-1s), Duration::min()}) {
            bool ran = false;
            const auto body = [&](Tracked) -> Coro<int> {
                ran = true;
                co_return 1;
            };
            const bool timed_out = co_await times_out(wait_for(body(Tracked()), limit));
            EXPECT_TRUE(timed_out);
            EXPECT_FALSE(ran);
            EXPECT_EQ(Tracked::alive(), 0);
        }
    });
}

TEST(wait_for, WF_03_a_limit_of_nothing_returns_what_is_done) {
    run_test([]() -> Coro<> {
        auto done = create_task(number_after(0s, 7));
        co_await done;
        EXPECT_EQ(co_await wait_for(done, 0s), 7);
        auto failed = create_task([]() -> Coro<int> {
            throw std::runtime_error("broken");
            co_return 1;
        }());
        co_await asyncio::gather_settled(failed);
        bool caught = false;
        try {
            co_await wait_for(failed, -1s);
        } catch (const std::runtime_error& error) {
            caught = std::string(error.what()) == "broken";
        }
        EXPECT_TRUE(caught);
    });
}

TEST(wait_for, WF_04_a_limit_of_nothing_cancels_a_task_and_waits_for_it) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<int> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            co_await sleep(1ms);
            trace += "cleaned up";
            if (cancelled) throw CancelledError();
            co_return 1;
        };
        auto task = create_task(body());
        co_await sleep(0s);
        const bool timed_out = co_await times_out(wait_for(task, 0s));
        EXPECT_TRUE(timed_out);
        EXPECT_EQ(trace, "cleaned up");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(wait_for, WF_05_it_returns_only_when_what_it_cancelled_has_cleaned_up) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<int> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            for (int i = 0; i < 5; ++i) co_await sleep(1ms);
            trace += "cleaned up";
            if (cancelled) throw CancelledError();
            co_return 1;
        };
        const bool coroutine = co_await times_out(wait_for(body(), 1ms));
        EXPECT_TRUE(coroutine);
        EXPECT_EQ(trace, "cleaned up");
        trace.clear();
        auto task = create_task(body());
        const bool as_task = co_await times_out(wait_for(task, 1ms));
        EXPECT_TRUE(as_task);
        EXPECT_EQ(trace, "cleaned up");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(wait_for, WF_06_what_refuses_the_cancellation_has_its_value_returned) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            co_return 7;
        };
        EXPECT_EQ(co_await wait_for(body(), 1ms), 7);
        EXPECT_EQ(co_await wait_for(create_task(body()), 1ms), 7);
        EXPECT_EQ(asyncio::current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(wait_for, another_error_during_the_cleanup_leaves) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::runtime_error("cleanup");
            }
            co_return 1;
        };
        std::string seen;
        try {
            co_await wait_for(body(), 1ms);
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "cleanup");
    });
}

TEST(wait_for, WF_08_a_future_set_at_the_deadline_keeps_its_value) {
    run_test([]() -> Coro<> {
        for (const bool set_first : {true, false}) {
            auto& loop = asyncio::get_running_loop();
            auto future = loop.create_future<int>();
            const asyncio::TimePoint deadline = loop.time() + 5ms;
            const auto set = [future] {
                if (!future.done()) future.set_result(7);
            };
            if (set_first) loop.call_at(deadline - 1ns, set);
            const auto waiter = [&]() -> Coro<int> {
                co_return co_await wait_for(future, deadline - loop.time());
            };
            auto task = create_task(waiter());
            co_await sleep(0s);
            if (!set_first) loop.call_at(deadline, set);
            const auto [outcome] = co_await asyncio::gather_settled(task);
            // Whichever came first: the value is with the waiter, or still in the future, or it was
            // never accepted because the future had been cancelled by then.
            EXPECT_TRUE(outcome.has_value() || future.cancelled() || future.result() == 7);
        }
    });
}

TEST(wait_for, WF_09_a_cancellation_in_the_iteration_of_the_result_is_not_hidden) {
    run_test([]() -> Coro<> {
        auto inner = asyncio::get_running_loop().create_future<int>();
        const auto body = [&]() -> Coro<int> { co_return co_await wait_for(inner, 1h); };
        auto task = create_task(body());
        co_await sleep(0s);
        inner.set_result(1);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(inner.result(), 1);
    });
}

TEST(wait_for, WF_10_cancelling_the_caller_cancels_what_it_waits_for) {
    run_test([]() -> Coro<> {
        for (const std::optional<Duration> limit :
             {std::optional<Duration>(1h), std::optional<Duration>()}) {
            auto inner = create_task(number_after(1h, 1));
            const auto body = [&]() -> Coro<int> { co_return co_await wait_for(inner, limit); };
            auto task = create_task(body());
            co_await sleep(0s);
            task.cancel();
            co_await asyncio::gather_settled(task);
            EXPECT_TRUE(task.cancelled());
            EXPECT_TRUE(inner.cancelled());
        }
    });
}

TEST(wait_for, a_cancellation_from_outside_before_the_deadline_is_no_timeout) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> { co_await wait_for(number_after(1h, 1), 10ms); };
        auto task = create_task(body());
        co_await sleep(0s);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(wait_for, WF_12_a_time_limit_of_the_awaited_passes_unchanged) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<int> {
            co_await sleep(1ms);
            throw TimeoutError("its own");
        };
        std::string seen;
        try {
            co_await wait_for(body(), 1h);
        } catch (const TimeoutError& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "its own");
    });
}

TEST(wait_for, nested_limits_end_at_the_nearest) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        for (const bool inner_is_shorter : {true, false}) {
            const Duration inner = inner_is_shorter ? 2ms : 1h;
            const Duration outer = inner_is_shorter ? 1h : 2ms;
            const asyncio::TimePoint start = loop.time();
            const bool timed_out =
                co_await times_out(wait_for(wait_for(number_after(1h, 1), inner), outer));
            EXPECT_TRUE(timed_out);
            EXPECT_LT(loop.time() - start, 10s);
            EXPECT_EQ(asyncio::current_task().cancelling(), 0u);
        }
    });
}

TEST(wait_for, moves_what_can_only_be_moved) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<MoveOnly> {
            co_await sleep(0s);
            co_return MoveOnly(3);
        };
        const MoveOnly value = co_await wait_for(body(), 1h);
        EXPECT_EQ(value.number, 3);
        int target = 0;
        const auto reference = [&]() -> Coro<int&> { co_return target; };
        int& seen = co_await wait_for(reference(), 1h);
        EXPECT_EQ(&seen, &target);
    });
}

TEST(wait_for, cancelling_the_caller_during_the_cleanup_of_an_expired_one_is_kept) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto slow = [&]() -> Coro<int> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "interrupted ";
                throw;
            }
            if (cancelled) throw CancelledError();
            co_return 1;
        };
        const auto body = [&]() -> Coro<> {
            try {
                co_await wait_for(slow(), 1ms);
            } catch (const TimeoutError&) {
                trace += "timeout";
            } catch (const CancelledError&) {
                trace += "cancelled";
                throw;
            }
        };
        auto task = create_task(body());
        co_await sleep(10ms);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "interrupted cancelled");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(wait_for, ten_thousand_that_do_not_expire_leave_no_timer) {
    run_test([]() -> Coro<> {
        int sum = 0;
        for (int i = 0; i < 10'000; ++i) sum += co_await wait_for(number_after(0s, 1), 24h);
        EXPECT_EQ(sum, 10'000);
    });
}

}  // namespace
