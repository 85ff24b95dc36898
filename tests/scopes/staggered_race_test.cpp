// Goal: one winner at most, the next runner starts when the one before has failed or takes long,
// and nobody runs any more when the race is over.
// Method: runners of known length that note how they ended; races cancelled in any iteration.

#include <asyncio.h>

#include "support/run_test.h"

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::Duration;
using asyncio::sleep;
using asyncio::staggered_race;
using support::run_simulated;
using support::run_test;
using namespace std::chrono_literals;

using Runner = std::function<Coro<std::string>()>;

/// Notes its beginning and its end.
class Track {
public:
    Runner succeeds(std::string name, Duration after) {
        return [this, name, after]() -> Coro<std::string> {
            co_await run(name, after);
            co_return name;
        };
    }
    Runner fails(std::string name, Duration after) {
        return [this, name, after]() -> Coro<std::string> {
            co_await run(name, after);
            throw std::runtime_error(name);
        };
    }

    std::string text;
    int running = 0;

private:
    Coro<> run(std::string name, Duration time) {
        text += "+" + name + " ";
        ++running;
        try {
            co_await sleep(time);
        } catch (const CancelledError&) {
            text += "~";
            --running;
            text += name + " ";
            throw;
        }
        --running;
        text += "-" + name + " ";
    }
};

std::string text_of(const std::vector<std::exception_ptr>& errors) {
    std::string text;
    for (const auto& error : errors) text += error ? asyncio::describe(error) + " " : "- ";
    return text;
}

TEST(staggered_race, NET_09_of_nobody_nobody_wins) {
    run_test([]() -> Coro<> {
        const auto result = co_await staggered_race(std::vector<Runner>(), 1ms);
        EXPECT_FALSE(result.winner_result.has_value());
        EXPECT_FALSE(result.winner_index.has_value());
        EXPECT_TRUE(result.exceptions.empty());
    });
}

TEST(staggered_race, NET_09_one_that_wins_before_the_delay_runs_alone) {
    run_test([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.succeeds("a", 1ms), track.succeeds("b", 1ms)};
        const auto result = co_await staggered_race(runners, 1h);
        EXPECT_EQ(result.winner_result, "a");
        EXPECT_EQ(result.winner_index, 0u);
        EXPECT_EQ(text_of(result.exceptions), "- ");
        EXPECT_EQ(track.text, "+a -a ");
    });
}

TEST(staggered_race, NET_09_when_the_first_fails_the_second_starts_at_once) {
    run_test([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.fails("a", 1ms), track.succeeds("b", 1ms)};
        const auto start = asyncio::get_running_loop().time();
        const auto result = co_await staggered_race(runners, 1h);
        EXPECT_LT(asyncio::get_running_loop().time() - start, 1min);
        EXPECT_EQ(result.winner_result, "b");
        EXPECT_EQ(result.winner_index, 1u);
        EXPECT_EQ(text_of(result.exceptions), "a - ");
    });
}

TEST(staggered_race, the_next_one_starts_when_the_delay_has_passed_and_losers_are_waited_for) {
    run_simulated([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.succeeds("slow", 1h), track.succeeds("b", 10ms),
                                          track.succeeds("c", 1h), track.succeeds("d", 1h)};
        const auto result = co_await staggered_race(runners, 6ms);
        EXPECT_EQ(result.winner_result, "b");
        EXPECT_EQ(text_of(result.exceptions), "cancelled - cancelled ");
        EXPECT_EQ(track.text, "+slow +b +c -b ~slow ~c ");
        EXPECT_EQ(track.running, 0);
    });
}

TEST(staggered_race, without_a_delay_only_a_failure_starts_the_next_one) {
    run_simulated([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.fails("a", 5ms), track.fails("b", 5ms),
                                          track.succeeds("c", 5ms)};
        const auto result = co_await staggered_race(runners, std::nullopt);
        EXPECT_EQ(result.winner_index, 2u);
        EXPECT_EQ(track.text, "+a -a +b -b +c -c ");
    });
}

TEST(staggered_race, when_all_fail_all_errors_are_there) {
    run_simulated([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.fails("a", 5ms), track.fails("b", 1ms),
                                          track.fails("c", 9ms)};
        const auto result = co_await staggered_race(runners, 2ms);
        EXPECT_FALSE(result.winner_index.has_value());
        EXPECT_EQ(text_of(result.exceptions), "a b c ");
    });
}

TEST(staggered_race, a_failure_of_an_earlier_one_starts_nobody) {
    run_simulated([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.fails("a", 5ms), track.succeeds("b", 9ms),
                                          track.succeeds("c", 1ms)};
        const auto result = co_await staggered_race(runners, 4ms);
        EXPECT_EQ(track.text, "+a +b -a +c -c ~b ");
        EXPECT_EQ(result.winner_index, 2u);
    });
}

TEST(staggered_race, a_failure_in_the_moment_the_delay_passes_starts_one_only) {
    run_simulated([]() -> Coro<> {
        Track track;
        const std::vector<Runner> runners{track.fails("a", 5ms), track.succeeds("b", 1ms),
                                          track.succeeds("c", 1ms)};
        const auto result = co_await staggered_race(runners, 5ms);
        EXPECT_EQ(result.winner_index, 1u);
        EXPECT_EQ(result.exceptions.size(), 2u) << track.text;
    });
}

TEST(staggered_race, NET_10_of_two_that_succeed_in_one_iteration_one_wins) {
    run_test([]() -> Coro<> {
        auto gate = asyncio::get_running_loop().create_future<int>();
        int begun = 0;
        int succeeded = 0;
        std::vector<std::function<Coro<int>()>> runners;
        for (int i = 0; i < 3; ++i) {
            runners.emplace_back([&, i]() -> Coro<int> {
                if (++begun == 3)
                    asyncio::get_running_loop().call_soon([&] { gate.set_result(0); });
                co_await gate;
                ++succeeded;
                co_return i;
            });
        }
        const auto result = co_await staggered_race(runners, 0s);
        EXPECT_EQ(succeeded, 3);
        EXPECT_EQ(result.winner_index, 0u);
        EXPECT_EQ(text_of(result.exceptions), "- - - ");
    });
}

TEST(staggered_race, results_may_be_nothing_or_movable_only_and_callables_may_be_temporary) {
    run_test([]() -> Coro<> {
        using Void = Coro<> (*)();
        const auto nothing = co_await staggered_race(
            std::vector<Void>(1, []() -> Coro<> { co_return; }), std::nullopt);
        EXPECT_TRUE(nothing.winner_result.has_value());
        using Unique = Coro<std::unique_ptr<int>> (*)();
        const auto unique = co_await staggered_race(
            std::vector<Unique>(
                1, []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); }),
            std::nullopt);
        EXPECT_EQ(**unique.winner_result, 3);
    });
}

TEST(staggered_race, a_runner_that_throws_before_it_is_a_coroutine_has_failed) {
    run_test([]() -> Coro<> {
        const std::vector<std::function<Coro<int>()>> runners{
            []() -> Coro<int> { throw std::runtime_error("at once"); },
            []() -> Coro<int> { co_return 2; }};
        const auto result = co_await staggered_race(runners, 1h);
        EXPECT_EQ(result.winner_result, 2);
        EXPECT_EQ(text_of(result.exceptions), "at once - ");
    });
}

TEST(staggered_race, cancelled_in_any_iteration_it_leaves_nobody_running) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 14; ++turns) {
            Track track;
            bool returned = false;
            bool went_on = false;
            const auto race = [&]() -> Coro<> {
                const std::vector<Runner> runners{track.fails("a", 0s), track.fails("b", 0s),
                                                  track.succeeds("c", 0s)};
                co_await staggered_race(runners, 1h);
                returned = true;
                EXPECT_EQ(track.running, 0);
                co_await sleep(1h);
                went_on = true;
            };
            auto task = create_task(race());
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            task.cancel("why");
            co_await asyncio::gather_settled(task);
            EXPECT_TRUE(task.cancelled()) << turns;
            EXPECT_FALSE(went_on);
            EXPECT_EQ(track.running, 0) << turns << track.text;
            EXPECT_EQ(task.cancelling(), 1u);
            EXPECT_EQ(returned, turns >= 12) << turns;
        }
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

}  // namespace
