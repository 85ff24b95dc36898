// Goal: a generator gives its values one by one to whoever asks, in the asker's task; errors and
// cancellations go both ways; it is never destroyed before it has cleaned up, and what nobody
// closes the loop does. Method: generators that note what becomes of them, left and dropped in
// every state.

#include <asyncio.h>
#include <asyncio/generator.h>

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
using asyncio::EventLoop;
using asyncio::GeneratorExit;
using asyncio::RuntimeError;
using asyncio::sleep;
using support::contains;
using support::LogCapture;
using support::MoveOnly;
using support::run_simulated;
using support::run_test;
using support::TestLoop;
using support::Ticks;
using support::Tracked;
using namespace std::chrono_literals;

template <class Awaitable>
Coro<std::string> how(Awaitable awaitable) {
    std::string end = "value";
    try {
        co_await std::move(awaitable);
    } catch (...) {
        end = asyncio::describe(std::current_exception());
    }
    co_return end;
}

AsyncGenerator<int> count_to(int last) {
    for (int i = 1; i <= last; ++i) {
        co_await sleep(0s);
        co_yield i;
    }
}

/// Counts for ever; notes how it ends, after a wait.
AsyncGenerator<int> count(std::string& trace, Tracked = Tracked()) {
    std::exception_ptr end;
    try {
        for (int i = 1;; ++i) co_yield i;
    } catch (const GeneratorExit&) {
        end = std::current_exception();
        trace += "closing ";
    } catch (...) {
        end = std::current_exception();
        trace += asyncio::describe(end) + " ";
    }
    co_await sleep(1ms);
    trace += "cleaned ";
    std::rethrow_exception(end);
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
        EXPECT_EQ(co_await how(numbers.next()), "the asynchronous generator runs already");
        EXPECT_EQ(co_await how(numbers.aclose()), "the asynchronous generator runs already");
        EXPECT_EQ(co_await first, 1);
        co_await numbers.aclose();
    });
}

TEST(AsyncGenerator, one_that_is_dropped_unclosed_is_closed_by_the_loop) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        {
            auto numbers = count(trace);
            EXPECT_EQ(co_await numbers.next(), 1);
        }
        EXPECT_EQ(trace, "");
        EXPECT_EQ(Tracked::alive(), 1);
        co_await sleep(5ms);
        EXPECT_EQ(trace, "closing cleaned ");
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(AsyncGenerator, debug_mode_names_the_place_of_one_that_was_dropped) {
    const LogCapture log;
    {
        TestLoop loop({.backend = asyncio::lowlevel::BackendKind::simulated, .debug = true});
        loop->slow_callback_duration = 1h;
        std::string trace;
        const auto main = [&]() -> Coro<> {
            {
                auto numbers = count(trace);
                EXPECT_EQ(co_await numbers.next(), 1);
            }
            co_await sleep(5ms);
        };
        loop->run_until_complete(main());
        EXPECT_EQ(trace, "closing cleaned ");
    }
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(contains(lines[0], "dropped unclosed")) << lines[0];
    EXPECT_TRUE(contains(lines[0], "generator_test.cpp:")) << lines[0];
}

TEST(AsyncGenerator, one_that_is_dropped_while_it_waits_is_closed_afterwards) {
    run_simulated([]() -> Coro<> {
        std::string trace;
        const auto make = [&](Tracked) -> AsyncGenerator<int> {
            co_await sleep(1ms);
            try {
                co_yield 1;
            } catch (const GeneratorExit&) {
                trace += "closed ";
            }
        };
        auto numbers = std::make_unique<AsyncGenerator<int>>(make(Tracked()));
        const auto ask = [&]() -> Coro<> {
            auto step = numbers->next();
            const auto number = co_await std::move(step);
            trace += "asked " + std::to_string(*number) + " ";
        };
        auto asker = create_task(ask());
        co_await sleep(0s);
        numbers.reset();
        co_await asker;
        co_await sleep(1ms);
        EXPECT_EQ(trace, "asked 1 closed ");
        EXPECT_EQ(Tracked::alive(), 0);
    });
}

TEST(AsyncGenerator, one_that_is_dropped_in_the_last_step_of_main_is_closed) {
    const LogCapture log;
    std::string trace;
    asyncio::run([](std::string& text) -> Coro<> {
        auto numbers = count(text);
        co_await numbers.next();
    }(trace));
    EXPECT_EQ(trace, "closing cleaned ");
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(AsyncGenerator, one_whose_closing_was_cancelled_before_it_began_is_closed_at_the_end) {
    const LogCapture log;
    std::string trace;
    asyncio::run([](std::string& text) -> Coro<> {
        {
            auto numbers = count(text);
            co_await numbers.next();
        }
        for (const auto& task : asyncio::all_tasks()) {
            if (!(task == current_task())) task.cancel();
        }
        co_await sleep(10ms);
        EXPECT_EQ(text, "");
    }(trace));
    EXPECT_EQ(trace, "closing cleaned ");
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(AsyncGenerator, RUN_14_those_that_are_left_are_closed_at_the_end_of_run) {
    const LogCapture log;
    std::string trace;
    std::vector<AsyncGenerator<int>> kept;
    asyncio::run([](std::vector<AsyncGenerator<int>>& outside, std::string& text) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
            outside.push_back(count(text));
            co_await outside.back().next();
        }
    }(kept, trace));
    EXPECT_EQ(trace, "closing closing closing cleaned cleaned cleaned ");
    EXPECT_EQ(Tracked::alive(), 3) << "the frames are still the owner's";
    kept.clear();
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(AsyncGenerator, RUN_14_errors_of_their_cleanups_are_reported_and_not_thrown) {
    const LogCapture log;
    const auto make = []() -> AsyncGenerator<int> {
        try {
            co_yield 1;
        } catch (const GeneratorExit&) {
            throw std::runtime_error("cleanup");
        }
    };
    std::optional<AsyncGenerator<int>> kept;
    const int value = asyncio::run([](auto make_one, auto& outside) -> Coro<int> {
        outside.emplace(make_one());
        co_await outside->next();
        co_return 7;
    }(make, kept));
    EXPECT_EQ(value, 7);
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0], "an error while an asynchronous generator was closed: cleanup");
}

TEST(AsyncGenerator, RUN_14_one_that_will_not_end_is_reported_and_destroyed) {
    const LogCapture log;
    const auto make = [](Tracked) -> AsyncGenerator<int> {
        for (int i = 0; i < 1000; ++i) {
            try {
                co_yield i;
            } catch (const GeneratorExit&) {
            }
        }
    };
    for (const bool dropped : {true, false}) {
        std::optional<AsyncGenerator<int>> kept;
        asyncio::run([](auto make_one, auto& outside, bool drop) -> Coro<> {
            outside.emplace(make_one(Tracked()));
            co_await outside->next();
            if (drop) outside.reset();
        }(make, kept, dropped));
        kept.reset();
        EXPECT_EQ(Tracked::alive(), 0);
        const auto lines = LogCapture::take();
        ASSERT_EQ(lines.size(), 1u);
        EXPECT_TRUE(contains(lines[0], "yielded while it was being closed")) << lines[0];
    }
}

TEST(AsyncGenerator, RUN_14_one_whose_cleanup_waits_for_ever_is_named_and_unwinds) {
    const LogCapture log;
    const auto make = [](Tracked) -> AsyncGenerator<int> {
        try {
            co_yield 1;
        } catch (const GeneratorExit&) {
        }
        const auto never = asyncio::get_running_loop().create_future();
        co_await never;
    };
    std::optional<AsyncGenerator<int>> kept;
    asyncio::run(
        [](auto make_one, auto& outside) -> Coro<> {
            outside.emplace(make_one(Tracked()));
            co_await outside->next();
        }(make, kept),
        {.debug = false, .backend = asyncio::lowlevel::BackendKind::simulated});
    kept.reset();
    EXPECT_EQ(Tracked::alive(), 0);
    std::string said;
    for (const std::string& line : LogCapture::take()) said += line;
    EXPECT_TRUE(contains(said, "generator_test.cpp")) << said;
}

TEST(AsyncGenerator, RUN_14_after_the_tasks_and_before_the_end_of_the_loop) {
    const LogCapture log;
    std::string trace;
    std::optional<AsyncGenerator<int>> kept;
    asyncio::run([](auto& outside, std::string& text) -> Coro<> {
        const auto left = [&text]() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const CancelledError&) {
                text += "task ";
                throw;
            }
        };
        create_task(left);
        outside.emplace(count(text));
        co_await outside->next();
        co_await sleep(0s);
    }(kept, trace));
    EXPECT_EQ(trace, "task closing cleaned ");
}

TEST(AsyncGenerator, RUN_15_one_that_begins_after_the_shutdown_is_remarked_upon) {
    const LogCapture log;
    std::string trace;
    {
        TestLoop loop;
        loop->run_until_complete(loop->shutdown_asyncgens());
        auto numbers = count(trace);
        const auto ask = [&]() -> Coro<> { EXPECT_EQ(co_await numbers.next(), 1); };
        loop->run_until_complete(ask());
        const auto lines = LogCapture::take();
        ASSERT_EQ(lines.size(), 1u);
        EXPECT_TRUE(contains(lines[0], "after shutdown_asyncgens")) << lines[0];
        loop->close();
        EXPECT_EQ(trace, "closing cleaned ") << "closing the loop closes it all the same";
    }
}

TEST(AsyncGenerator, one_of_another_loop_is_refused) {
    const LogCapture log;
    std::string trace;
    TestLoop loop;
    auto numbers = count(trace);
    const auto ask = [&]() -> Coro<std::string> { co_return co_await how(numbers.next()); };
    EXPECT_EQ(loop->run_until_complete(ask()), "value");
    {
        TestLoop other;
        EXPECT_EQ(other->run_until_complete(ask()),
                  "the asynchronous generator belongs to another event loop");
    }
    loop->close();
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
