// Goal: a timeout cancels its body at the deadline and turns that, and only that, into a
// TimeoutError; limits nest, move, and leave cancellations from outside alone.
// Method: deadlines on the loop's clock. "The loop is busy" is a callback that lets the clock pass
// both deadlines before anything else runs; on the simulated clock, both timers of one moment.

#include <asyncio.h>

#include "support/detached.h"
#include "support/how.h"
#include "support/run_test.h"

#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::Duration;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::Timeout;
using asyncio::timeout;
using asyncio::timeout_at;
using asyncio::TimeoutError;
using asyncio::TimePoint;
using support::how;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using namespace std::chrono_literals;

TEST(timeout, TO_02_a_body_that_ends_in_time_returns_its_value_and_leaves_no_timer) {
    run_test([]() -> Coro<> {
        bool expired = true;
        const int value = co_await timeout(1h, [&](Timeout& limit) -> Coro<int> {
            co_await sleep(1ms);
            EXPECT_TRUE(limit.when().has_value());
            expired = limit.expired();
            co_return 7;
        });
        EXPECT_EQ(value, 7);
        EXPECT_FALSE(expired);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(timeout, a_body_that_takes_too_long_is_cancelled_at_the_deadline) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        const TimePoint start = loop.time();
        std::string trace;
        const auto body = [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "cancelled";
                throw;
            }
        };
        EXPECT_THROW(co_await timeout(5ms, body), TimeoutError);
        EXPECT_EQ(trace, "cancelled");
        EXPECT_GE(loop.time() - start, 5ms);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(timeout, without_a_deadline_it_is_only_a_scope) {
    run_test([]() -> Coro<> {
        const std::string end = co_await how(timeout(std::nullopt, [](Timeout& limit) -> Coro<> {
            EXPECT_FALSE(limit.when().has_value());
            co_await sleep(1ms);
        }));
        EXPECT_EQ(end, "value");
        co_await timeout(Duration::max(), []() -> Coro<> { co_await sleep(1ms); });
    });
}

TEST(timeout, an_absolute_deadline_is_on_the_loops_clock) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        const TimePoint when = loop.time() + 3ms;
        const auto body = [&](Timeout& limit) -> Coro<> {
            EXPECT_EQ(limit.when(), when);
            co_await sleep(1h);
        };
        const std::string end = co_await how(timeout_at(when, body));
        EXPECT_EQ(end, "the time limit has passed");
        EXPECT_GE(loop.time(), when);
        const std::string none =
            co_await how(timeout_at(std::nullopt, []() -> Coro<> { co_return; }));
        EXPECT_EQ(none, "value");
    });
}

TEST(timeout, TO_04_a_deadline_in_the_past_lets_the_body_begin_and_fires_at_its_first_wait) {
    run_test([]() -> Coro<> {
        for (const Duration delay : {Duration(0s), Duration(-1h)}) {
            for (const bool only_yields : {false, true}) {
                bool began = false;
                const auto body = [&]() -> Coro<> {
                    began = true;
                    co_await sleep(only_yields ? 0s : 1h);
                    ADD_FAILURE() << "went on";
                };
                const std::string end = co_await how(timeout(delay, body));
                EXPECT_EQ(end, "the time limit has passed");
                EXPECT_TRUE(began);
            }
        }
    });
}

TEST(timeout, TO_05_a_body_that_never_waits_is_never_interrupted) {
    run_test([]() -> Coro<> {
        auto done = asyncio::get_running_loop().create_future<int>();
        done.set_result(1);
        const auto body = [&]() -> Coro<int> {
            const int value = co_await done;
            co_return value;
        };
        EXPECT_EQ(co_await timeout(-1s, body), 1);
        co_await sleep(0s);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(timeout, TO_06_of_two_nested_with_one_deadline_the_outer_one_raises_and_both_expired) {
    run_test([]() -> Coro<> {
        const TimePoint when = asyncio::get_running_loop().time() + 2ms;
        std::string trace;
        const auto outer_body = [&](Timeout& outer) -> Coro<> {
            const auto inner_body = [&](Timeout& inner) -> Coro<> {
                bool cancelled = false;
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    cancelled = true;
                }
                trace += inner.expired() && outer.expired() ? "both " : "one ";
                if (cancelled) throw CancelledError();
            };
            trace += co_await how(timeout_at(when, inner_body));
            throw CancelledError();
        };
        const std::string end = co_await how(timeout_at(when, outer_body));
        EXPECT_EQ(trace, "both cancelled");
        EXPECT_EQ(end, "the time limit has passed");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(timeout, TO_07_a_longer_inner_limit_passes_the_cancellation_of_the_outer_one_on) {
    run_test([]() -> Coro<> {
        std::string inner_end;
        const auto outer_body = [&]() -> Coro<> {
            try {
                co_await timeout(1h, []() -> Coro<> { co_await sleep(1h); });
            } catch (const CancelledError&) {
                inner_end = "cancelled";
                throw;
            }
        };
        const std::string end = co_await how(timeout(2ms, outer_body));
        EXPECT_EQ(inner_end, "cancelled");
        EXPECT_EQ(end, "the time limit has passed");
    });
}

TEST(timeout, TO_08_when_the_loop_was_busy_past_both_deadlines_the_outer_one_still_ends_its_block) {
    run_test([]() -> Coro<> {
        const TimePoint start = asyncio::get_running_loop().time();
        const auto outer_body = [&]() -> Coro<> {
            try {
                co_await timeout_at(start, []() -> Coro<> { co_await sleep(1h); });
            } catch (const TimeoutError&) {
            }
            co_await sleep(1h);
        };
        const std::string end = co_await how(timeout_at(start, outer_body));
        EXPECT_EQ(end, "the time limit has passed");
        EXPECT_EQ(current_task().cancelling(), 0u);
        EXPECT_LT(asyncio::get_running_loop().time() - start, 10s);
    });
}

TEST(timeout, the_inner_of_two_nested_limits_may_expire_alone) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto outer_body = [&]() -> Coro<> {
            trace += co_await how(timeout(1ms, []() -> Coro<> { co_await sleep(1h); }));
            co_await sleep(1ms);
            trace += ", and on";
        };
        const std::string end = co_await how(timeout(1h, outer_body));
        EXPECT_EQ(end, "value");
        EXPECT_EQ(trace, "the time limit has passed, and on");
    });
}

TEST(timeout, TO_10_another_error_of_the_body_leaves_as_it_is) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::runtime_error("instead");
            }
        };
        const std::string end = co_await how(timeout(1ms, body));
        EXPECT_EQ(end, "instead");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(timeout, TO_11_a_cancellation_from_outside_before_the_deadline_stays_one) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await timeout(1h, []() -> Coro<> { co_await sleep(1h); });
        };
        auto task = create_task(body());
        co_await sleep(0s);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(task.cancelling(), 1u);
    });
}

TEST(timeout, a_cancellation_from_outside_in_the_moment_of_the_deadline_wins) {
    run_test([]() -> Coro<> {
        for (const bool outside_first : {true, false}) {
            std::string end;
            Timeout* limit = nullptr;
            const auto body = [&]() -> Coro<> {
                const auto inner = [&](Timeout& given) -> Coro<> {
                    limit = &given;
                    co_await sleep(1h);
                };
                end = co_await how(timeout(1h, inner));
                throw CancelledError();
            };
            auto task = create_task(body());
            co_await sleep(0s);
            // Rescheduled into the past the limit expires in the next iteration, where the other
            // cancellation waits for it.
            if (outside_first) asyncio::get_running_loop().call_soon([&] { task.cancel(); });
            limit->reschedule(TimePoint());
            if (!outside_first) asyncio::get_running_loop().call_soon([&] { task.cancel(); });
            co_await asyncio::gather_settled(task);
            EXPECT_EQ(end, "cancelled");
            EXPECT_EQ(task.cancelling(), 1u);
        }
    });
}

TEST(timeout, TO_12_the_deadline_can_be_moved_and_taken_away_by_another_task) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        Timeout* limit = nullptr;
        const auto sleep_within = [&](Duration delay, Duration first_limit) -> Coro<std::string> {
            const auto body = [&](Timeout& given) -> Coro<> {
                limit = &given;
                co_await sleep(delay);
            };
            std::string end = co_await how(timeout(first_limit, body));
            co_return end;
        };
        auto later = create_task(sleep_within(35ms, 30ms));
        co_await sleep(0s);
        limit->reschedule(loop.time() + 1h);
        EXPECT_EQ(co_await later, "value");
        auto earlier = create_task(sleep_within(1h, 1h));
        co_await sleep(0s);
        limit->reschedule(loop.time() + 1ms);
        EXPECT_EQ(co_await earlier, "the time limit has passed");
        auto none = create_task(sleep_within(35ms, 30ms));
        co_await sleep(0s);
        limit->reschedule(std::nullopt);
        EXPECT_FALSE(limit->when().has_value());
        EXPECT_EQ(co_await none, "value");
        auto past = create_task(sleep_within(1h, 1h));
        co_await sleep(0s);
        limit->reschedule(TimePoint::min());
        EXPECT_EQ(co_await past, "the time limit has passed");
    });
}

TEST(timeout, TO_13_rescheduling_outside_its_life_is_an_error_that_names_the_state) {
    run_test([]() -> Coro<> {
        const auto refusal = [](Timeout& limit) -> std::string {
            try {
                limit.reschedule(std::nullopt);
            } catch (const RuntimeError& error) {
                return error.what();
            }
            return "accepted";
        };
        co_await asyncio::timeout(std::nullopt, [&](Timeout& limit) -> Coro<> {
            EXPECT_EQ(refusal(limit), "accepted");
            co_return;
        });
        const auto expires = [&](Timeout& limit) -> Coro<> {
            EXPECT_FALSE(limit.expired());
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                EXPECT_TRUE(support::contains(refusal(limit), "expiring"));
                EXPECT_TRUE(limit.expired());
                throw;
            }
        };
        EXPECT_EQ(co_await how(asyncio::timeout(1ms, expires)), TimeoutError().what());
    });
}

TEST(timeout, TO_15_a_limit_on_the_cleanup_after_a_cancellation_counts_its_own_request_only) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            bool cancelled = false;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                cancelled = true;
            }
            trace += co_await how(timeout(1ms, []() -> Coro<> { co_await sleep(1h); }));
            trace += ", " + std::to_string(current_task().cancelling());
            co_await sleep(0s);
            if (cancelled) throw CancelledError();
        };
        auto task = create_task(body());
        co_await sleep(0s);
        task.cancel();
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "the time limit has passed, 1");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(timeout, TO_16_a_second_cancellation_inside_that_cleanup_is_no_timeout) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            trace += co_await how(timeout(1h, []() -> Coro<> { co_await sleep(1h); }));
            trace += std::to_string(current_task().cancelling());
        };
        auto task = create_task(body());
        co_await sleep(0s);
        task.cancel();
        co_await sleep(1ms);
        task.cancel();
        co_await task;
        EXPECT_EQ(trace, "cancelled2");
    });
}

TEST(timeout, TO_17_a_cancellation_that_was_pending_at_entry_wins) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto body = [&]() -> Coro<> {
            current_task().cancel();
            trace += co_await how(timeout(0s, []() -> Coro<> { co_await sleep(1h); }));
            trace += std::to_string(current_task().cancelling());
            throw CancelledError();
        };
        auto task = create_task(body());
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(trace, "cancelled1");
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(timeout, TO_18_a_body_that_swallows_the_expiry_ends_normally) {
    run_test([]() -> Coro<> {
        bool expired = false;
        const auto body = [&](Timeout& limit) -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            expired = limit.expired();
            co_return 7;
        };
        EXPECT_EQ(co_await timeout(1ms, body), 7);
        EXPECT_TRUE(expired);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(timeout, TO_19_errors_of_a_group_inside_leave_as_a_group) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await asyncio::task_group([](asyncio::TaskGroup& group) -> Coro<> {
                const auto child = []() -> Coro<> {
                    try {
                        co_await sleep(1h);
                    } catch (const CancelledError&) {
                        throw std::runtime_error("cleanup");
                    }
                };
                group.create_task(child());
                co_await sleep(1h);
            });
        };
        std::string seen;
        try {
            co_await timeout(1ms, body);
        } catch (const asyncio::ExceptionGroup& group) {
            seen = asyncio::describe(group.exceptions()[0]);
        }
        EXPECT_EQ(seen, "cleanup");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(timeout, TO_20_two_limits_that_expire_one_after_the_other_cancel_twice) {
    run_test([]() -> Coro<> {
        int cancellations = 0;
        const auto inner_body = [&]() -> Coro<> {
            for (int i = 0; i < 2; ++i) {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    ++cancellations;
                }
            }
            try {
                co_await sleep(1ms);
            } catch (const CancelledError&) {
                ++cancellations;
            }
        };
        Timeout* outer_limit = nullptr;
        const auto outer_body = [&](Timeout& outer) -> Coro<> {
            outer_limit = &outer;
            co_await timeout(1ms, inner_body);
        };
        auto task =
            create_task([](auto& body) -> Coro<> { co_await timeout(1h, body); }(outer_body));
        co_await sleep(20ms);
        EXPECT_EQ(cancellations, 1);
        outer_limit->reschedule(TimePoint());
        co_await asyncio::gather_settled(task);
        EXPECT_EQ(cancellations, 2);
    });
}

TEST(timeout, an_expiry_the_body_never_felt_does_not_interrupt_what_comes_after) {
    // The deadline comes in the very iteration in which an operation brings its result. The result
    // is returned, the body ends, and the request must go with its limit: also where an earlier
    // cancellation, long delivered, keeps the count above zero.
    class Effect : public asyncio::lowlevel::Waiter {
    public:
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<asyncio::Coro<>::promise_type> coroutine) {
            asyncio::get_running_loop().schedule(task());
            park(coroutine, &cannot_abort);
        }
        void await_resume() { resumed_with_effect(); }
    };
    run_test([]() -> Coro<> {
        for (const bool cancelled_before : {false, true}) {
            std::string trace;
            const auto body = [&]() -> Coro<> {
                try {
                    co_await sleep(1ms);
                } catch (const CancelledError&) {
                }
                trace += co_await how(timeout(0s, []() -> Coro<> { co_await Effect(); }));
                try {
                    co_await sleep(1ms);
                    trace += " slept";
                } catch (const CancelledError&) {
                    trace += " interrupted";
                }
            };
            auto task = create_task(body());
            co_await sleep(0s);
            if (cancelled_before) task.cancel();
            co_await task;
            EXPECT_EQ(trace, "value slept") << cancelled_before;
        }
    });
}

TEST(timeout, belongs_to_a_task) {
    const LogCapture log;
    TestLoop loop;
    std::string end;
    const auto limited = [] { return asyncio::timeout(1h, []() -> Coro<> { co_return; }); };
    loop->call_soon([&] { support::await_detached(limited, end); });
    loop.run_until_idle();
    EXPECT_TRUE(support::contains(end, "asyncio::timeout()")) << end;
}

TEST(timeout, an_error_thrown_before_the_first_wait_passes) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            throw std::runtime_error("early");
            co_return;
        };
        const std::string end = co_await how(timeout(1h, body));
        EXPECT_EQ(end, "early");
    });
}

}  // namespace
