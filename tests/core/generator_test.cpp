// Goal: a generator gives its values one by one to whoever asks, in the asker's task; errors and
// cancellations go both ways; it is never destroyed before it has cleaned up, and what nobody
// closes the loop does. Method: generators that note what becomes of them, left and dropped in
// every state.

#include <asyncio.h>
#include <asyncio/generator.h>

#include "core/core_help.h"
#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::AsyncGenerator;
using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::current_task;
using asyncio::GeneratorExit;
using asyncio::sleep;
using core_help::count;
using support::contains;
using support::how;
using support::MoveOnly;
using support::run_test;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

AsyncGenerator<int> count_to(int last) {
    for (int i = 1; i <= last; ++i) {
        co_await sleep(0s);
        co_yield i;
    }
}

TEST(AsyncGenerator, gives_its_values_and_then_nothing_for_ever) {
    run_test([]() -> Coro<> {
        AsyncGenerator<int> numbers = count_to(3);
        std::vector<int> seen;
        while (auto number = co_await numbers.next()) seen.push_back(*number);
        EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
        EXPECT_FALSE((co_await numbers.next()).has_value());
        co_await numbers.aclose();
    });
}

TEST(AsyncGenerator, nothing_runs_until_it_is_asked_and_a_value_costs_no_iteration) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto make = [&](Tracked) -> AsyncGenerator<std::string> {
            trace += "began ";
            co_yield "a";
            trace += "went on ";
            co_yield std::string("b");
        };
        const Ticks ticks;
        const int before = ticks.count();
        {
            AsyncGenerator<std::string> letters = make(Tracked());
            EXPECT_EQ(trace, "");
            EXPECT_EQ(co_await letters.next(), "a");
            EXPECT_EQ(trace, "began ");
            EXPECT_EQ(co_await letters.next(), "b");
            EXPECT_EQ(co_await letters.next(), std::nullopt);
        }
        EXPECT_EQ(ticks.count(), before);
        {
            auto never = make(Tracked());
        }
        EXPECT_EQ(Tracked::alive(), 0);
        EXPECT_EQ(trace, "began went on ");
    });
}

TEST(AsyncGenerator, a_million_values_grow_no_stack) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<int> {
            for (int i = 0; i < 1'000'000; ++i) co_yield i;
        };
        long sum = 0;
        auto numbers = make();
        while (auto number = co_await numbers.next()) sum += *number;
        EXPECT_EQ(sum, 499'999'500'000);
    });
}

TEST(AsyncGenerator, CPP_08_values_may_be_movable_only_and_are_moved_out) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<MoveOnly> {
            MoveOnly kept(2);
            co_yield MoveOnly(1);
            co_yield std::move(kept);
        };
        auto values = make();
        EXPECT_EQ((co_await values.next())->number, 1);
        EXPECT_EQ((co_await values.next())->number, 2);
        EXPECT_FALSE((co_await values.next()).has_value());
    });
}

TEST(AsyncGenerator, CPP_11_an_await_in_the_condition_destroys_each_value_once) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<Tracked> {
            for (int i = 0; i < 5; ++i) {
                co_await sleep(0s);
                co_yield Tracked(i);
            }
        };
        {
            auto values = make();
            int expected = 0;
            while (auto value = co_await values.next()) {
                EXPECT_EQ(value->number(), expected++);
                // The operand of `co_yield` lives until that goes on.
                EXPECT_EQ(Tracked::alive(), 2);
            }
            EXPECT_EQ(expected, 5);
        }
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(AsyncGenerator, generators_are_chained) {
    run_test([]() -> Coro<> {
        const auto squares = [](AsyncGenerator<int> numbers) -> AsyncGenerator<int> {
            while (auto number = co_await numbers.next()) co_yield *number** number;
        };
        std::vector<int> seen;
        auto values = squares(count_to(4));
        while (auto value = co_await values.next()) seen.push_back(*value);
        EXPECT_EQ(seen, (std::vector<int>{1, 4, 9, 16}));
    });
}

TEST(AsyncGenerator, it_runs_in_the_task_that_asks) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<std::string> {
            while (true) co_yield current_task().get_name();
        };
        auto names = make();
        const auto ask = [&]() -> Coro<std::string> { co_return *co_await names.next(); };
        EXPECT_EQ(co_await create_task(ask, {.name = "a"}), "a");
        EXPECT_EQ(co_await create_task(ask, {.name = "b"}), "b");
        co_await names.aclose();
    });
}

TEST(AsyncGenerator, an_error_leaves_to_the_one_who_asks_and_is_the_end) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<int> {
            co_yield 1;
            co_await sleep(0s);
            throw std::runtime_error("broken");
        };
        auto numbers = make();
        EXPECT_EQ(co_await numbers.next(), 1);
        EXPECT_EQ(co_await how(numbers.next()), "broken");
        EXPECT_EQ(co_await numbers.next(), std::nullopt);
    });
}

TEST(AsyncGenerator, an_error_can_be_thrown_in) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<std::string> {
            while (true) {
                std::string seen;
                try {
                    co_yield "waiting";
                } catch (const std::runtime_error& error) {
                    seen = error.what();
                }
                co_await sleep(0s);
                if (!seen.empty()) co_yield "caught " + seen;
            }
        };
        auto answers = make();
        EXPECT_EQ(co_await answers.next(), "waiting");
        EXPECT_EQ(co_await answers.athrow(std::runtime_error("this")), "caught this");
        EXPECT_EQ(co_await answers.next(), "waiting");
        EXPECT_EQ(co_await how(answers.athrow(std::logic_error("that"))), "that");
        EXPECT_EQ(co_await answers.next(), std::nullopt);
        EXPECT_EQ(co_await how(answers.athrow(std::logic_error("late"))), "late");
        auto unstarted = make();
        EXPECT_EQ(co_await how(unstarted.athrow(std::logic_error("early"))), "early");
        EXPECT_EQ(co_await unstarted.next(), std::nullopt);
    });
}

TEST(AsyncGenerator, aclose_runs_its_cleanup_which_may_wait) {
    run_test([]() -> Coro<> {
        std::string trace;
        auto numbers = count(trace);
        EXPECT_EQ(co_await numbers.next(), 1);
        co_await numbers.aclose();
        EXPECT_EQ(trace, "closing cleaned ");
        co_await numbers.aclose();
        EXPECT_EQ(co_await numbers.next(), std::nullopt);
        auto unstarted = count(trace);
        co_await unstarted.aclose();
        EXPECT_EQ(co_await unstarted.next(), std::nullopt);
        EXPECT_EQ(trace, "closing cleaned ");
    });
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(AsyncGenerator, aclose_gets_the_error_of_the_cleanup_and_refuses_another_value) {
    run_test([]() -> Coro<> {
        const auto fails = []() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const GeneratorExit&) {
                throw std::runtime_error("cleanup");
            }
        };
        auto failing = fails();
        co_await failing.next();
        EXPECT_EQ(co_await how(failing.aclose()), "cleanup");
        const auto stubborn = []() -> AsyncGenerator<int> {
            while (true) {
                try {
                    co_yield 1;
                } catch (const GeneratorExit&) {
                    co_return;
                } catch (const std::runtime_error&) {
                }
                bool again = false;
                try {
                    co_yield 2;
                } catch (const GeneratorExit&) {
                    again = true;
                }
                if (again) co_yield 3;
            }
        };
        auto refusing = stubborn();
        co_await refusing.next();
        co_await refusing.next();
        const std::string end = co_await how(refusing.aclose());
        EXPECT_TRUE(contains(end, "yielded while it was being closed")) << end;
        EXPECT_EQ(co_await refusing.next(), 1);
        co_await refusing.aclose();
    });
}

TEST(AsyncGenerator, a_cancellation_reaches_what_it_waits_for) {
    run_test([]() -> Coro<> {
        std::string trace;
        const auto make = [&]() -> AsyncGenerator<int> {
            co_yield 1;
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                trace += "cancelled ";
                throw;
            }
        };
        auto numbers = make();
        const auto ask = [&]() -> Coro<> {
            while (co_await numbers.next()) trace += "value ";
        };
        auto task = create_task(ask());
        co_await sleep(1ms);
        task.cancel("why");
        EXPECT_EQ(co_await how(task), "cancelled: why");
        EXPECT_EQ(trace, "value cancelled ");
        EXPECT_EQ(co_await numbers.next(), std::nullopt);
    });
}

TEST(AsyncGenerator, a_limit_around_the_asker_works_and_the_generator_may_go_on) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<int> {
            for (int i = 0;; ++i) {
                bool late = false;
                try {
                    co_await sleep(i == 1 ? 1h : 0s);
                } catch (const CancelledError&) {
                    late = true;
                }
                co_yield late ? -1 : i;
            }
        };
        auto numbers = make();
        EXPECT_EQ(co_await numbers.next(), 0);
        EXPECT_EQ(co_await asyncio::wait_for(numbers.next(), 1ms), -1);
        EXPECT_EQ(co_await numbers.next(), 2);
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await numbers.aclose();
    });
}

TEST(AsyncGenerator, two_cannot_ask_at_once) {
    run_test([]() -> Coro<> {
        const auto make = []() -> AsyncGenerator<int> {
            co_await sleep(1ms);
            co_yield 1;
        };
        auto numbers = make();
        const auto ask = [&]() -> Coro<int> { co_return *co_await numbers.next(); };
        auto first = create_task(ask());
        co_await sleep(0s);
        EXPECT_EQ(co_await how(numbers.next()), "the asynchronous generator is already running");
        EXPECT_EQ(co_await how(numbers.aclose()), "the asynchronous generator is already running");
        EXPECT_EQ(co_await first, 1);
        co_await numbers.aclose();
    });
}

TEST(AsyncGenerator, an_exit_stack_closes_it) {
    run_test([]() -> Coro<> {
        std::string trace;
        co_await asyncio::async_exit_stack([&](asyncio::AsyncExitStack& stack) -> Coro<> {
            auto& numbers = stack.push_closing(count(trace));
            EXPECT_EQ(co_await numbers.next(), 1);
        });
        EXPECT_EQ(trace, "closing cleaned ");
    });
}

TEST(AsyncGenerator, cancelled_in_any_iteration_it_cleans_up_once) {
    run_test([]() -> Coro<> {
        for (int turns = 0; turns < 10; ++turns) {
            int begun = 0;
            int ended = 0;
            const auto make = [&]() -> AsyncGenerator<int> {
                ++begun;
                const std::unique_ptr<int, void (*)(int*)> guard(&ended, [](int* n) { ++*n; });
                for (int i = 0; i < 3; ++i) {
                    co_await sleep(0s);
                    co_yield i;
                }
            };
            const auto consume = [&]() -> Coro<> {
                auto numbers = make();
                while (auto number = co_await numbers.next()) co_await sleep(0s);
                co_await sleep(1h);
            };
            auto task = create_task(consume());
            for (int i = 0; i < turns; ++i) co_await sleep(0s);
            task.cancel();
            EXPECT_EQ(co_await how(task), "cancelled");
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            EXPECT_EQ(ended, begun) << turns;
        }
    });
}

}  // namespace
