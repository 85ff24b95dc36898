// Goal: gather collects in the order of its arguments, fails with the first error and lets the rest
// go on, and when cancelled ends only when all of its parts have.
// Method: children that sleep for different times on the loop's clock; iterations counted.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Duration;
using asyncio::gather;
using asyncio::gather_settled;
using asyncio::None;
using asyncio::Outcome;
using asyncio::sleep;
using asyncio::Task;
using core_help::fail_after;
using core_help::number_after;
using core_help::unset_future;
using support::Fragile;
using support::LogCapture;
using support::MoveOnly;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using namespace std::chrono_literals;

Coro<> nothing_after(Duration delay) { co_await sleep(delay); }

/// Needs `turns` iterations to clean up when it is cancelled, and says when it has.
Coro<> clean_up_slowly(std::string& trace, char name, int turns) {
    bool cancelled = false;
    try {
        co_await sleep(1h);
    } catch (const CancelledError&) {
        cancelled = true;
    }
    for (int i = 0; i < turns; ++i) co_await sleep(0s);
    trace += name;
    if (cancelled) throw CancelledError();
}

TEST(gather, GATH_01_results_come_in_the_order_of_the_arguments) {
    run_test([]() -> Coro<> {
        auto [a, b, c] =
            co_await gather(number_after(3ms, 1), number_after(1ms, 2), number_after(2ms, 3));
        EXPECT_EQ(a, 1);
        EXPECT_EQ(b, 2);
        EXPECT_EQ(c, 3);
        std::vector<Coro<int>> many;
        for (int i = 0; i < 10; ++i) many.push_back(number_after((10 - i) * 100us, i));
        const std::vector<int> numbers = co_await gather(std::move(many));
        for (int i = 0; i < 10; ++i) EXPECT_EQ(numbers.at(static_cast<std::size_t>(i)), i);
    });
}

TEST(gather, mixes_types_and_marks_what_has_no_value) {
    run_test([]() -> Coro<> {
        auto task = create_task(number_after(1ms, 7));
        auto future = asyncio::get_running_loop().create_future<std::string>();
        future.set_result("set");
        auto result = co_await gather(nothing_after(1ms), task, future, sleep(1ms));
        static_assert(std::is_same_v<decltype(result), std::tuple<None, int, std::string, None>>);
        EXPECT_EQ(std::get<1>(result), 7);
        EXPECT_EQ(std::get<2>(result), "set");
        EXPECT_EQ(task.result(), 7);
    });
}

TEST(gather, of_parts_without_values_returns_nothing) {
    run_test([]() -> Coro<> {
        co_await gather(nothing_after(1ms), nothing_after(2ms));
        std::vector<Coro<>> many;
        many.push_back(nothing_after(1ms));
        co_await gather(std::move(many));
        static_assert(std::is_void_v<decltype(gather(nothing_after(1ms)).result())>);
    });
}

TEST(gather, GATH_02_of_no_parts_is_done_at_once) {
    run_test([]() -> Coro<> {
        auto none = gather(std::vector<Coro<int>>());
        EXPECT_TRUE(none.done());
        EXPECT_TRUE(none.result().empty());
        EXPECT_FALSE(none.cancel());
        auto nothing = gather();
        EXPECT_TRUE(nothing.done());
        co_await nothing;
        EXPECT_TRUE(gather_settled(std::vector<Coro<int>>()).done());
    });
}

TEST(gather, GATH_03_the_same_task_may_stand_in_two_places) {
    run_test([]() -> Coro<> {
        auto task = create_task(number_after(1ms, 7));
        auto [a, b] = co_await gather(task, task);
        EXPECT_EQ(a, 7);
        EXPECT_EQ(b, 7);
        EXPECT_EQ(task.result(), 7);
    });
}

TEST(gather, a_value_that_can_only_be_moved_cannot_be_in_two_places) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<MoveOnly> { co_return MoveOnly(1); }());
        bool refused = false;
        try {
            co_await gather(task, task);
        } catch (const asyncio::InvalidStateError&) {
            refused = true;
        }
        EXPECT_TRUE(refused);
        auto single = co_await gather([]() -> Coro<MoveOnly> { co_return MoveOnly(2); }());
        EXPECT_EQ(std::get<0>(single).number, 2);
    });
}

TEST(gather, a_part_whose_value_somebody_else_moved_out_did_not_fail) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<MoveOnly> {
            co_await sleep(0s);
            co_return MoveOnly(1);
        }());
        const auto taker = [&]() -> Coro<int> {
            Task<MoveOnly> own = task;
            const MoveOnly taken = co_await std::move(own);
            co_return taken.number;
        };
        // The taker comes first, so the value is gone when the gather looks.
        auto taking = create_task(taker());
        co_await sleep(0s);
        auto [outcome] = co_await gather_settled(gather_settled(task));
        EXPECT_FALSE(outcome.cancelled());
        EXPECT_EQ(co_await taking, 1);
    });
}

TEST(gather, CPP_08_a_value_that_throws_while_it_is_copied_is_the_gathers_error) {
    run_test([]() -> Coro<> {
        auto task = create_task([]() -> Coro<Fragile> { co_return Fragile(1, 0, 99); }());
        std::string seen;
        try {
            co_await gather(task);
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "copy 1");
        EXPECT_EQ(task.result().number, 1);
    });
}

TEST(gather, its_waiter_resumes_two_iterations_after_the_last_part_has_ended) {
    // One for the part to report, one for the future of the gather, as in Python.
    run_test([]() -> Coro<> {
        const Ticks ticks;
        int ended_at = 0;
        const auto part = [&](int turns) -> Coro<> {
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            ended_at = ticks.count();
        };
        co_await gather(part(1), part(4), part(2));
        EXPECT_EQ(ticks.count(), ended_at + 2);
    });
}

TEST(gather, starts_its_parts_at_once_and_in_order) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto part = [&](char name) -> Coro<> {
            trace += name;
            co_return;
        };
        auto first = gather(part('a'), part('b'));
        create_task(part('c'));
        EXPECT_EQ(trace, "");
        co_await sleep(0s);
        EXPECT_EQ(trace, "abc") << "though nobody awaits it yet";
        co_await first;
    });
}

// --- Errors
// ----------------------------------------------------------------------------------------

TEST(gather, GATH_04_the_first_error_leaves_at_once_and_the_others_go_on_in_silence) {
    run_test([]() -> Coro<> {
        const auto signal = asyncio::get_running_loop().create_future();
        int finished = 0;
        const auto slow = [&]() -> Coro<int> {
            co_await signal;
            co_return ++finished;
        };
        const auto fails_late = [&]() -> Coro<int> {
            co_await signal;
            ++finished;
            throw std::runtime_error("second");
        };
        std::string seen;
        try {
            co_await gather(slow(), fail_after<int>(0s, "first"), fails_late());
        } catch (const std::runtime_error& error) {
            seen = error.what();
        }
        EXPECT_EQ(seen, "first");
        EXPECT_EQ(finished, 0);
        signal.set_result();
        for (int i = 0; i < 4; ++i) co_await sleep(0s);
        EXPECT_EQ(finished, 2);
    });
}

TEST(gather, GATH_04_in_debug_mode_later_errors_are_mentioned) {
    const LogCapture log(asyncio::LogLevel::debug);
    TestLoop loop({.debug = true});
    const auto body = []() -> Coro<> {
        bool failed = false;
        try {
            co_await gather(fail_after<int>(0s, "first"), fail_after<int>(1ms, "second"));
        } catch (const std::runtime_error&) {
            failed = true;
        }
        EXPECT_TRUE(failed);
        co_await sleep(5ms);
    };
    loop->run_until_complete(body());
    bool mentioned = false;
    for (const std::string& line : LogCapture::take()) {
        if (support::contains(line, "second")) mentioned = true;
    }
    EXPECT_TRUE(mentioned);
}

TEST(gather, an_error_nobody_awaits_is_reported) {
    run_test([]() -> Coro<> {
        {
            static_cast<void>(gather(fail_after<int>(0s, "broken"), number_after(0s, 1)));
        }
        for (int turns = 0; turns < 10; ++turns) co_await sleep(0s);
        const std::vector<std::string> lines = LogCapture::take();
        EXPECT_EQ(lines.size(), 1u);
    });
}

TEST(gather, GATH_05_settled_gives_errors_and_cancellations_as_values_in_place) {
    run_test([]() -> Coro<> {
        auto cancelled = create_task(number_after(1h, 0));
        asyncio::get_running_loop().call_soon([&] { cancelled.cancel("enough"); });
        auto [value, error, cancellation] =
            co_await gather_settled(number_after(1ms, 1), fail_after<int>(0s, "broken"), cancelled);
        EXPECT_EQ(value.value(), 1);
        EXPECT_TRUE(error.failed());
        EXPECT_FALSE(error.cancelled());
        EXPECT_EQ(asyncio::describe(error.error()), "broken");
        EXPECT_TRUE(cancellation.cancelled());
        EXPECT_EQ(asyncio::describe(cancellation.error()), "cancelled: enough");
        std::vector<Coro<int>> many;
        many.push_back(number_after(0s, 1));
        many.push_back(fail_after<int>(0s, "x"));
        const std::vector<Outcome<int>> outcomes = co_await gather_settled(std::move(many));
        EXPECT_TRUE(outcomes.at(0).has_value());
        EXPECT_TRUE(outcomes.at(1).failed());
    });
}

TEST(gather, GATH_06_a_part_that_is_cancelled_is_an_error_and_no_cancellation_of_the_gather) {
    run_test([]() -> Coro<> {
        auto victim = create_task(number_after(1h, 0));
        auto gate = asyncio::get_running_loop().create_future<int>();
        auto other = create_task([](auto opened) -> Coro<int> { co_return co_await opened; }(gate));
        auto together = gather(victim, other);
        co_await sleep(0s);
        victim.cancel();
        bool caught = false;
        try {
            co_await together;
        } catch (const CancelledError&) {
            caught = true;
        }
        EXPECT_TRUE(caught);
        EXPECT_TRUE(together.done());
        EXPECT_FALSE(together.cancelled());
        EXPECT_FALSE(other.done()) << "the others go on";
        gate.set_result(1);
        EXPECT_EQ(co_await other, 1);
        EXPECT_EQ(asyncio::current_task().cancelling(), 0u);
    });
}

// --- Cancellation
// ------------------------------------------------------------------------------------

TEST(gather, GATH_07_cancelling_it_cancels_every_part_that_has_not_ended) {
    run_test([]() -> Coro<> {
        auto done = create_task(number_after(0s, 1));
        auto a = create_task(number_after(1h, 2));
        auto b = create_task(number_after(1h, 3));
        auto together = gather(done, a, b);
        co_await sleep(1ms);
        EXPECT_TRUE(together.cancel("why"));
        const auto [outcome] = co_await gather_settled(together);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(asyncio::describe(outcome.error()), "cancelled: why");
        EXPECT_FALSE(done.cancelled());
        EXPECT_TRUE(a.cancelled() && b.cancelled());
    });
}

TEST(gather, GATH_07_when_all_parts_have_ended_cancel_is_refused_and_the_results_stand) {
    run_test([]() -> Coro<> {
        auto a = create_task(number_after(0s, 1));
        auto together = gather(a);
        while (!a.done()) co_await sleep(0s);
        // The part has ended, and the gather has not been told yet.
        EXPECT_FALSE(together.done());
        EXPECT_FALSE(together.cancel());
        const std::tuple<int> result = co_await together;
        EXPECT_EQ(std::get<0>(result), 1);
    });
}

TEST(gather, GATH_07_a_second_cancel_is_refused_when_the_parts_have_ended_meanwhile) {
    run_test([]() -> Coro<> {
        auto together = gather(nothing_after(1h), nothing_after(1h));
        co_await sleep(1ms);
        EXPECT_TRUE(together.cancel());
        co_await sleep(0s);  // the parts end, and the gather hears of it in the next iteration
        EXPECT_FALSE(together.done());
        EXPECT_FALSE(together.cancel());
        const auto [outcome] = co_await gather_settled(together);
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(gather, GATH_08_a_settled_gather_that_is_cancelled_throws_that_and_is_no_list) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await gather_settled(nothing_after(1h), nothing_after(1h));
            ADD_FAILURE() << "a list";
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel("enough");
        const auto [end] = co_await gather_settled(task);
        EXPECT_TRUE(end.cancelled());
        EXPECT_EQ(asyncio::describe(end.error()), "cancelled: enough");
    });
}

TEST(gather, GATH_09_a_cancelled_gather_ends_when_the_last_part_has_cleaned_up) {
    run_test([]() -> Coro<> {
        for (const bool settled : {false, true}) {
            std::string trace;
            const auto body = [&]() -> Coro<> {
                try {
                    if (settled) {
                        co_await gather_settled(clean_up_slowly(trace, 'a', 5),
                                                clean_up_slowly(trace, 'b', 1));
                    } else {
                        co_await gather(clean_up_slowly(trace, 'a', 5),
                                        clean_up_slowly(trace, 'b', 1));
                    }
                } catch (const CancelledError&) {
                    trace += '!';
                    throw;
                }
            };
            auto task = create_task(body());
            co_await sleep(1ms);
            task.cancel();
            co_await gather_settled(task);
            EXPECT_EQ(trace, "ba!");
            EXPECT_TRUE(task.cancelled());
        }
    });
}

TEST(gather, a_part_that_fails_while_it_cleans_up_is_how_a_cancelled_gather_ends) {
    run_test([]() -> Coro<> {
        const auto fails = []() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                throw std::runtime_error("cleanup");
            }
        };
        // In either order: the cancellation that the other part ends with may come before it.
        for (const bool fails_first : {true, false}) {
            auto together = fails_first ? gather(fails(), nothing_after(1h))
                                        : gather(nothing_after(1h), fails());
            co_await sleep(1ms);
            EXPECT_TRUE(together.cancel());
            const auto [outcome] = co_await gather_settled(together);
            EXPECT_EQ(asyncio::describe(outcome.error()), "cleanup");
        }
    });
}

TEST(gather, a_second_cancellation_interrupts_the_cleanup) {
    run_test([]() -> Coro<> {
        std::string trace;
        auto task = create_task([](std::string& to) -> Coro<> {
            co_await gather(clean_up_slowly(to, 'a', 1000), clean_up_slowly(to, 'b', 1000));
        }(trace));
        co_await sleep(1ms);
        task.cancel();
        co_await sleep(0s);
        task.cancel();
        for (int i = 0; i < 10; ++i) co_await sleep(0s);
        EXPECT_TRUE(task.cancelled());
        EXPECT_EQ(trace, "");
    });
}

TEST(gather, parts_that_refuse_to_be_cancelled_do_not_save_the_gather) {
    run_test([]() -> Coro<> {
        const auto refuses = []() -> Coro<int> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
            }
            co_return 1;
        };
        auto together = gather(refuses(), refuses());
        co_await sleep(1ms);
        EXPECT_TRUE(together.cancel());
        const auto [outcome] = co_await gather_settled(together);
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(gather, GATH_10_CPP_16_futures_of_different_loops_cannot_be_gathered) {
    TestLoop other;
    run_test([&]() -> Coro<> {
        auto foreign = other->create_future<int>();
        auto own = asyncio::get_running_loop().create_future<int>();
        EXPECT_THROW(gather(own, foreign), std::invalid_argument);
        co_return;
    });
}

TEST(gather, outside_a_loop_is_an_error) {
    const LogCapture log;
    EXPECT_THROW(gather(nothing_after(1s)), asyncio::RuntimeError);
}

TEST(gather, may_be_nested_and_dropped) {
    run_test([]() -> Coro<> {
        auto [pair, single] =
            co_await gather(gather(number_after(1ms, 1), number_after(0s, 2)), number_after(0s, 3));
        EXPECT_EQ(pair, std::tuple(1, 2));
        EXPECT_EQ(single, 3);
        {
            static_cast<void>(gather(nothing_after(1ms), nothing_after(2ms)));
        }
        while (asyncio::all_tasks().size() > 1) co_await sleep(1ms);
    });
}

TEST(gather, of_a_future_nobody_sets_goes_when_the_loop_closes) {
    const LogCapture log;
    TestLoop loop;
    std::weak_ptr<int> watched;
    loop->run_until_complete([](std::weak_ptr<int>& left) -> Coro<> {
        auto never = unset_future(left);
        static_cast<void>(gather(never, gather_settled(never, number_after(0s, 1))));
        co_await sleep(1ms);
    }(watched));
    EXPECT_FALSE(watched.expired());
    loop->close();
    EXPECT_TRUE(watched.expired());
}

TEST(gather, whose_handle_outlives_the_loop_stays_as_it_is) {
    const LogCapture log;
    asyncio::Future<std::tuple<int, int>> both;
    {
        TestLoop loop;
        auto set = loop->create_future<int>();
        auto never = loop->create_future<int>();
        both = loop->run_until_complete([](auto one, auto other) -> Coro<decltype(both)> {
            co_return gather(one, other);
        }(set, never));
        set.set_result(1);
        loop->close();
        EXPECT_FALSE(both.done());
        EXPECT_TRUE(both.cancel());
        EXPECT_TRUE(never.cancelled());
        EXPECT_FALSE(both.done());
        both = {};
    }
}

TEST(gather, takes_ranges_of_tasks_by_reference_and_leaves_them_usable) {
    run_test([]() -> Coro<> {
        std::vector<Task<int>> tasks;
        for (int i = 0; i < 5; ++i) tasks.push_back(create_task(number_after(i * 100us, i)));
        const std::vector<int> numbers = co_await gather(tasks);
        EXPECT_EQ(numbers, (std::vector{0, 1, 2, 3, 4}));
        for (int i = 0; i < 5; ++i) EXPECT_EQ(tasks[static_cast<std::size_t>(i)].result(), i);
    });
}

TEST(gather, a_hundred_thousand_parts_are_gathered_and_released) {
    run_test([]() -> Coro<> {
        std::vector<Coro<support::Tracked>> many;
        const auto part = [](int number) -> Coro<support::Tracked> {
            co_await sleep(0s);
            co_return support::Tracked(number);
        };
        for (int i = 0; i < 100'000; ++i) many.push_back(part(i));
        std::vector<support::Tracked> all = co_await gather(std::move(many));
        EXPECT_EQ(support::Tracked::alive(), 100'000);
        EXPECT_EQ(all.at(99'999).number(), 99'999);
        all.clear();
        EXPECT_EQ(support::Tracked::alive(), 0);
    });
}

}  // namespace
