// Goal: a coroutine for each item, never more at a time and per second than allowed; results in the
// order of the items or as they come; an error or a cancellation ends all of it and leaves nothing
// running.
// Method: items of known length that count how many of them run; the virtual clock.

#include <asyncio.h>

#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <algorithm>
#include <memory>
#include <ranges>
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
using asyncio::map_as_completed;
using asyncio::map_concurrent;
using asyncio::map_settled;
using asyncio::MapOptions;
using asyncio::MapResults;
using asyncio::None;
using asyncio::OnError;
using asyncio::Outcome;
using asyncio::sleep;
using support::how;
using support::run_simulated;
using support::run_test;
using namespace std::chrono_literals;

/// Counts how many run, and how they ended.
struct Crew {
    int running = 0;
    int at_most = 0;
    int begun = 0;
    int cancelled = 0;

    Coro<> work(Duration time) {
        ++begun;
        at_most = std::max(at_most, ++running);
        try {
            co_await sleep(time);
        } catch (const CancelledError&) {
            ++cancelled;
            --running;
            throw;
        }
        --running;
    }
};

TEST(map_concurrent, results_stand_in_the_order_of_the_items_and_not_more_than_allowed_run) {
    run_test([]() -> Coro<> {
        Crew crew;
        const std::vector<int> items{5, 1, 4, 2, 3, 9, 7, 8, 6, 0};
        const std::vector<int> squares = co_await map_concurrent(items,
                                                                 [&](int item) -> Coro<int> {
                                                                     co_await crew.work(item * 1ms);
                                                                     co_return item* item;
                                                                 },
                                                                 {.limit = 3});
        EXPECT_EQ(squares, (std::vector<int>{25, 1, 16, 4, 9, 81, 49, 64, 36, 0}));
        EXPECT_EQ(crew.at_most, 3);
        EXPECT_EQ(crew.begun, 10);
    });
}

TEST(map_concurrent, without_a_limit_all_run_together_and_nothing_gives_nothing) {
    run_test([]() -> Coro<> {
        Crew crew;
        const auto work = [&](int) -> Coro<> { co_await crew.work(1ms); };
        static_assert(std::is_same_v<decltype(map_concurrent(std::vector<int>(), work)), Coro<>>);
        co_await map_concurrent(std::vector<int>(20), work);
        EXPECT_EQ(crew.at_most, 20);
        co_await map_concurrent(std::vector<int>(), work, {.limit = 3});
        EXPECT_EQ(crew.begun, 20);
    });
}

TEST(map_concurrent, takes_views_of_values_and_results_that_only_move) {
    run_test([]() -> Coro<> {
        const auto values = co_await map_concurrent(
            std::views::iota(0, 5) | std::views::transform([](int i) { return i * 2; }),
            [](int item) -> Coro<std::unique_ptr<int>> {
                co_await sleep(0s);
                co_return std::make_unique<int>(item);
            },
            {.limit = 2});
        EXPECT_EQ(values.size(), 5u);
        EXPECT_EQ(*values[4], 8);
        const std::vector<bool> odd = co_await map_concurrent(
            std::views::iota(0, 3), [](int item) -> Coro<bool> { co_return item % 2 == 1; });
        EXPECT_EQ(odd, (std::vector<bool>{false, true, false}));
    });
}

TEST(map_concurrent, items_are_passed_by_reference) {
    run_test([]() -> Coro<> {
        std::vector<std::string> items{"a", "b"};
        co_await map_concurrent(items, [](std::string& item) -> Coro<> {
            co_await sleep(0s);
            item += "!";
        });
        EXPECT_EQ(items, (std::vector<std::string>{"a!", "b!"}));
    });
}

TEST(map_concurrent, a_rate_spaces_the_beginnings_evenly) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        const auto start = loop.time();
        std::vector<Duration> begun;
        co_await map_concurrent(std::views::iota(0, 4),
                                [&](int) -> Coro<> {
                                    begun.push_back(loop.time() - start);
                                    co_await sleep(0s);
                                },
                                {.per_second = 200});
        EXPECT_EQ(begun.size(), 4u);
        for (std::size_t i = 0; i < begun.size(); ++i) EXPECT_GE(begun[i], i * 5ms);
        if (std::string_view(loop.backend_name()) == "simulated") {
            EXPECT_LT(begun.back(), 16ms);
        }
        EXPECT_EQ(
            co_await how(map_concurrent(std::views::iota(0, 4), [](int) -> Coro<> { co_return; },
                                        {.per_second = -1})),
            "the rate per second must be zero or more");
    });
}

TEST(map_concurrent, a_rate_that_was_not_reached_is_not_made_up_for) {
    run_simulated([]() -> Coro<> {
        const auto start = asyncio::get_running_loop().time();
        std::vector<asyncio::Duration> begun;
        const auto first_is_slow = [&](int item) -> Coro<> {
            begun.push_back(asyncio::get_running_loop().time() - start);
            if (item == 0) co_await sleep(35ms);
        };
        const std::vector<int> items{0, 1, 2};
        co_await map_concurrent(items, first_is_slow, {.limit = 1, .per_second = 100});
        EXPECT_EQ(begun, (std::vector<asyncio::Duration>{0ms, 35ms, 45ms}));
    });
}

TEST(map_concurrent, the_first_error_cancels_the_rest_and_waits_for_it) {
    run_test([]() -> Coro<> {
        Crew crew;
        const std::string end = co_await how(
            map_concurrent(std::views::iota(0, 10),
                           [&](int item) -> Coro<int> {
                               co_await crew.work(item == 1 ? 1ms : Duration(1h));
                               throw std::runtime_error("item " + std::to_string(item));
                           },
                           {.limit = 4}));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): item 1");
        EXPECT_EQ(crew.begun, 4);
        EXPECT_EQ(crew.cancelled, 3);
        EXPECT_EQ(crew.running, 0);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(map_concurrent, carrying_on_all_items_are_done_and_all_errors_are_thrown) {
    run_test([]() -> Coro<> {
        Crew crew;
        const std::string end = co_await how(
            map_concurrent(std::views::iota(0, 5),
                           [&](int item) -> Coro<> {
                               co_await crew.work(1ms);
                               if (item % 2 == 1)
                                   throw std::runtime_error("item " + std::to_string(item));
                           },
                           {.limit = 2, .on_error = OnError::carry_on}));
        EXPECT_EQ(end, "unhandled errors in map_concurrent() (2 errors): item 1; item 3");
        EXPECT_EQ(crew.begun, 5);
    });
}

TEST(map_concurrent, what_fails_is_tried_again_after_a_delay_that_doubles) {
    run_test([]() -> Coro<> {
        auto& loop = asyncio::get_running_loop();
        const auto start = loop.time();
        std::vector<Duration> begun;
        const auto values = co_await map_concurrent(std::vector<int>(1, 7),
                                                    [&](int item) -> Coro<int> {
                                                        begun.push_back(loop.time() - start);
                                                        co_await sleep(0s);
                                                        if (begun.size() < 4)
                                                            throw std::runtime_error("again");
                                                        co_return item;
                                                    },
                                                    {.retries = 3, .retry_delay = 10ms});
        EXPECT_EQ(values, std::vector<int>{7});
        EXPECT_EQ(begun.size(), 4u);
        EXPECT_GE(begun[1], 10ms);
        EXPECT_GE(begun[2], 30ms);
        EXPECT_GE(begun[3], 70ms);
        int attempts = 0;
        const std::string end =
            co_await how(map_concurrent(std::vector<int>(1, 7),
                                        [&](int) -> Coro<int> {
                                            ++attempts;
                                            throw std::runtime_error("for good");
                                            co_return 1;
                                        },
                                        {.retries = 2}));
        EXPECT_EQ(end, "unhandled errors in a TaskGroup (1 error): for good");
        EXPECT_EQ(attempts, 3);
    });
}

TEST(map_concurrent, an_item_that_is_cancelled_by_itself_is_not_passed_over) {
    run_simulated([]() -> Coro<> {
        for (int round = 0; round < 2; ++round) {
            const OnError on_error = round == 0 ? OnError::cancel_rest : OnError::carry_on;
            Crew crew;
            const std::string end = co_await how(map_concurrent(
                std::views::iota(0, 3),
                [&](int item) -> Coro<int> {
                    co_await crew.work(item * 1ms);
                    if (item == 1) throw CancelledError("by itself");
                    co_return item;
                },
                MapOptions{.retries = 5, .on_error = on_error}));
            EXPECT_EQ(end, "cancelled: by itself");
            EXPECT_EQ(crew.begun, 3);
            EXPECT_EQ(crew.cancelled, on_error == OnError::cancel_rest ? 1 : 0);
            EXPECT_EQ(current_task().cancelling(), 0u);
            co_await sleep(0s);
        }
    });
}

TEST(map_concurrent, cancelled_in_any_iteration_it_ends_all_and_waits_for_it) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 10; ++turns) {
            Crew crew;
            const auto body = [&]() -> Coro<> {
                co_await map_concurrent(std::views::iota(0, 20),
                                        [&](int item) -> Coro<> {
                                            co_await crew.work(item < 4 ? Duration(0s)
                                                                        : Duration(1h));
                                        },
                                        {.limit = 3});
            };
            auto task = create_task(body());
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            task.cancel("why");
            EXPECT_EQ(co_await how(task), "cancelled: why") << turns;
            EXPECT_EQ(crew.running, 0) << turns;
        }
    });
}

TEST(map_concurrent, an_error_in_the_cleanup_of_a_cancelled_item_is_kept) {
    run_test([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            co_await map_concurrent(std::views::iota(0, 3), [](int item) -> Coro<> {
                try {
                    co_await sleep(1h);
                } catch (const CancelledError&) {
                    if (item == 1) throw std::runtime_error("cleanup");
                    throw;
                }
            });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        EXPECT_EQ(co_await how(task), "unhandled errors in a TaskGroup (1 error): cleanup");
    });
}

TEST(map_settled, gives_the_outcome_of_every_item) {
    run_test([]() -> Coro<> {
        Crew crew;
        const std::vector<Outcome<int>> outcomes =
            co_await map_settled(std::views::iota(0, 4),
                                 [&](int item) -> Coro<int> {
                                     co_await crew.work(1ms);
                                     if (item == 1) throw std::runtime_error("one");
                                     if (item == 2) throw CancelledError();
                                     co_return item;
                                 },
                                 {.limit = 2});
        std::string text;
        for (const auto& outcome : outcomes) {
            text += outcome.failed() ? asyncio::describe(outcome.error())
                                     : std::to_string(outcome.value());
            text += " ";
        }
        EXPECT_EQ(text, "0 one cancelled 3 ");
    });
}

TEST(map_settled, its_own_cancellation_is_thrown) {
    run_test([]() -> Coro<> {
        Crew crew;
        const auto body = [&]() -> Coro<> {
            co_await map_settled(std::views::iota(0, 4),
                                 [&](int) -> Coro<> { co_await crew.work(1h); });
        };
        auto task = create_task(body());
        co_await sleep(1ms);
        task.cancel();
        EXPECT_EQ(co_await how(task), "cancelled");
        EXPECT_EQ(crew.cancelled, 4);
    });
}

TEST(map_as_completed, gives_each_result_when_it_is_there) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        const std::vector<int> delays{3, 1, 2};
        const int count = co_await map_as_completed(
            delays,
            [](int delay) -> Coro<std::string> {
                co_await sleep(delay * 1ms);
                co_return std::to_string(delay) + "ms";
            },
            [&](MapResults<std::string>& results) -> Coro<int> {
                int taken = 0;
                while (auto result = co_await results.next()) {
                    trace += std::to_string(result->index) + ":" + result->value + " ";
                    ++taken;
                }
                co_return taken;
            });
        EXPECT_EQ(count, 3);
        EXPECT_EQ(trace, "1:1ms 2:2ms 0:3ms ");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(map_as_completed, a_body_that_has_enough_ends_the_rest) {
    run_simulated([]() -> Coro<> {
        Crew crew;
        const int first = co_await map_as_completed(
            std::views::iota(1, 10),
            [&](int item) -> Coro<int> {
                co_await crew.work(item * 1ms);
                co_return item;
            },
            [](MapResults<int>& results) -> Coro<int> {
                co_return (co_await results.next())->value;
            },
            {.limit = 4});
        EXPECT_EQ(first, 1);
        EXPECT_EQ(crew.running, 0);
        EXPECT_GE(crew.cancelled, 3);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(map_as_completed, an_error_cancels_the_body_or_is_thrown_after_it) {
    run_simulated([]() -> Coro<> {
        const auto work = [](int item) -> Coro<int> {
            co_await sleep(item * 1ms);
            if (item == 2) throw std::runtime_error("two");
            co_return item;
        };
        std::vector<int> taken;
        const auto body = [&](MapResults<int>& results) -> Coro<> {
            while (auto result = co_await results.next()) taken.push_back(result->value);
        };
        EXPECT_EQ(co_await how(map_as_completed(std::views::iota(1, 5), work, body)),
                  "unhandled errors in a TaskGroup (1 error): two");
        EXPECT_EQ(taken, std::vector<int>{1});
        taken.clear();
        EXPECT_EQ(co_await how(map_as_completed(std::views::iota(1, 5), work, body,
                                                {.on_error = OnError::carry_on})),
                  "unhandled errors in map_concurrent() (1 error): two");
        EXPECT_EQ(taken, (std::vector<int>{1, 3, 4}));
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(map_as_completed, begins_no_more_while_twice_the_limit_is_running_or_unread) {
    run_simulated([]() -> Coro<> {
        int begun = 0;
        const auto work = [&](int item) -> Coro<int> {
            ++begun;
            co_await sleep(1ms);
            co_return item;
        };
        int sum = 0;
        co_await map_as_completed(std::views::iota(0, 100), work,
                                  [&](MapResults<int>& results) -> Coro<> {
                                      co_await sleep(1s);
                                      EXPECT_EQ(begun, 6);
                                      sum += (co_await results.next())->value;
                                      sum += (co_await results.next())->value;
                                      co_await sleep(1s);
                                      EXPECT_EQ(begun, 8);
                                      while (auto result = co_await results.next()) {
                                          sum += result->value;
                                          co_await sleep(result->index < 50 ? 0ms : 3ms);
                                      }
                                  },
                                  {.limit = 3});
        EXPECT_EQ(begun, 100);
        EXPECT_EQ(sum, 99 * 100 / 2);
    });
}

TEST(map_as_completed, results_that_are_read_are_not_kept) {
    run_test([]() -> Coro<> {
        co_await map_as_completed(
            std::views::iota(0, 1000),
            [](int item) -> Coro<support::Tracked> {
                co_await sleep(0s);
                co_return support::Tracked(item);
            },
            [](MapResults<support::Tracked>& results) -> Coro<> {
                while (auto result = co_await results.next()) {
                    EXPECT_LE(support::Tracked::alive(), 6);
                    co_await sleep(0s);
                }
            },
            {.limit = 2});
    });
}

TEST(map_as_completed, failed_items_make_room_too) {
    run_simulated([]() -> Coro<> {
        const auto fails = [](int) -> Coro<int> {
            co_await sleep(1ms);
            throw std::runtime_error("no");
        };
        EXPECT_EQ(co_await how(map_as_completed(std::views::iota(0, 3), fails,
                                                [](MapResults<int>& results) -> Coro<> {
                                                    EXPECT_FALSE(co_await results.next());
                                                },
                                                {.limit = 1, .on_error = OnError::carry_on})),
                  "unhandled errors in map_concurrent() (3 errors): no; no; no");
    });
}

TEST(map_as_completed, an_item_that_makes_light_of_its_cancellation_is_followed_by_none) {
    run_test([]() -> Coro<> {
        int begun = 0;
        const auto work = [&](int) -> Coro<> {
            ++begun;
            try {
                co_await sleep(1h);
            } catch (const asyncio::CancelledError&) {
            }
        };
        const auto body = [&](MapResults<void>&) -> Coro<> { co_await sleep(0s); };
        co_await map_as_completed(std::views::iota(0, 10), work, body, {.limit = 2});
        EXPECT_EQ(begun, 2);
    });
}

TEST(map_concurrent,
     after_an_error_an_item_that_makes_light_of_its_cancellation_is_followed_by_none) {
    run_test([]() -> Coro<> {
        int begun = 0;
        const auto work = [&](int item) -> Coro<> {
            ++begun;
            if (item == 1) throw std::runtime_error("one");
            try {
                co_await sleep(1h);
            } catch (const asyncio::CancelledError&) {
            }
        };
        EXPECT_EQ(co_await how(map_concurrent(std::views::iota(0, 10), work, {.limit = 2})),
                  "unhandled errors in a TaskGroup (1 error): one");
        EXPECT_EQ(begun, 2);
    });
}

TEST(map_as_completed, workers_that_wait_for_room_are_cancelled_with_the_rest) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 12; ++turns) {
            int begun = 0;
            const auto work = [&](int) -> Coro<> {
                ++begun;
                co_await sleep(0s);
            };
            const auto body = [&](MapResults<void>& results) -> Coro<> {
                for (int i = 0; i < 10; ++i) co_await sleep(0s);
                EXPECT_EQ(begun, 4);
                for (int i = 0; i < turns; ++i) co_await results.next();
            };
            co_await map_as_completed(std::views::iota(0, 100), work, body, {.limit = 2});
            EXPECT_LE(begun, 4 + turns);
        }
    });
}

TEST(map_as_completed, a_cancellation_from_outside_is_not_eaten) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 12; ++turns) {
            Crew crew;
            bool went_on = false;
            const auto main = [&]() -> Coro<> {
                co_await map_as_completed(
                    std::views::iota(0, 4), [&](int) -> Coro<> { co_await crew.work(0s); },
                    [](MapResults<void>& results) -> Coro<> {
                        while (auto result = co_await results.next()) {
                        }
                    },
                    {.limit = 2});
                co_await sleep(1h);
                went_on = true;
            };
            auto task = create_task(main());
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            task.cancel();
            EXPECT_EQ(co_await how(task), "cancelled") << turns;
            EXPECT_FALSE(went_on);
            EXPECT_EQ(crew.running, 0);
        }
    });
}

constexpr MapOptions one_each_second{.limit = 1, .per_second = 1};

/// How a map ends whose one worker somebody cancels while it waits for the second item's turn.
/// `map` is given the items, and what is to be done with each.
template <class Map>
Coro<std::string> end_without_worker(Map map) {
    std::vector<asyncio::TaskRef> worker;
    const auto cancel_it = [&]() -> Coro<> {
        co_await sleep(500ms);
        EXPECT_TRUE(worker.at(0).cancel("picked out"));
    };
    const auto note_worker = [&](int item) -> Coro<int> {
        worker.push_back(current_task());
        co_return item;
    };
    auto cancelling = create_task(cancel_it());
    const std::vector<int> items{1, 2, 3};
    std::string end = co_await how(map(items, note_worker));
    co_await cancelling;
    co_return end;
}

TEST(map_concurrent, a_worker_that_somebody_cancels_ends_the_map) {
    run_simulated([]() -> Coro<> {
        const auto map = [](auto& items, auto& function) {
            return map_concurrent(items, function, one_each_second);
        };
        EXPECT_EQ(co_await end_without_worker(map), "cancelled: picked out");
    });
}

TEST(map_settled, a_worker_that_somebody_cancels_ends_the_map) {
    run_simulated([]() -> Coro<> {
        const auto map = [](auto& items, auto& function) {
            return map_settled(items, function, {.limit = 1, .per_second = 1});
        };
        EXPECT_EQ(co_await end_without_worker(map), "cancelled: picked out");
    });
}

TEST(map_as_completed, a_worker_that_somebody_cancels_ends_the_map) {
    run_simulated([]() -> Coro<> {
        std::vector<int> seen;
        const auto body = [&](MapResults<int>& results) -> Coro<> {
            while (auto result = co_await results.next()) seen.push_back(result->value);
        };
        const auto map = [&](auto& items, auto& function) {
            return map_as_completed(items, function, body, one_each_second);
        };
        EXPECT_EQ(co_await end_without_worker(map), "cancelled: picked out");
        EXPECT_EQ(seen, std::vector<int>{1});
    });
}

}  // namespace
