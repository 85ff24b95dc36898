// Goal: a generator is never destroyed before it has cleaned up: what nobody closes the loop does,
// in a moment or at the end of the run.
// Method: generators that note how they end, dropped in every state, left over, and stubborn.

#include <asyncio.h>

#include "core/core_help.h"
#include "support/how.h"
#include "support/run_test.h"
#include "support/tracked.h"

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
using support::LogCapture;
using support::run_simulated;
using support::TestLoop;
using support::Tracked;
using namespace std::chrono_literals;

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
    EXPECT_TRUE(contains(lines[0], "dropped without aclose()")) << lines[0];
    EXPECT_TRUE(contains(lines[0], "core_help.h:")) << lines[0];
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
    EXPECT_TRUE(contains(said, "generator_end_test.cpp")) << said;
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

TEST(AsyncGenerator, a_long_cleanup_at_the_end_is_not_taken_for_a_task_that_does_not_end) {
    const LogCapture log;
    TestLoop loop({.backend = asyncio::lowlevel::BackendKind::simulated, .debug = false});
    std::optional<AsyncGenerator<int>> kept;
    bool cleaned = false;
    const auto endless = [&]() -> AsyncGenerator<int> {
        std::exception_ptr end;
        try {
            for (;;) co_yield 1;
        } catch (const asyncio::GeneratorExit&) {
            end = std::current_exception();
        }
        co_await sleep(1min);
        cleaned = true;
        std::rethrow_exception(end);
    };
    const auto main = [&]() -> Coro<> {
        create_task(sleep(1h));
        kept.emplace(endless());
        co_await kept->next();
    };
    loop->run_until_complete(main());
    loop->close();
    EXPECT_TRUE(cleaned);
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
                  "AsyncGenerator::next(), athrow() or aclose() must be awaited in the event loop "
                  "in which the generator began");
    }
    loop->close();
}

AsyncGenerator<int> cancelled_in_the_cleanup() {
    try {
        co_yield 1;
    } catch (const asyncio::GeneratorExit&) {
    }
    throw CancelledError("of the cleanup");
}

TEST(AsyncGenerator, RUN_14_a_cancellation_that_leaves_a_cleanup_is_reported_like_any_error) {
    const LogCapture log;
    const auto reports = [] {
        std::string said;
        for (const std::string& line : LogCapture::take()) said += line + "\n";
        return said;
    };
    // Kept until after the end.
    std::optional<AsyncGenerator<int>> kept;
    const auto keeps = [&]() -> Coro<> {
        kept.emplace(cancelled_in_the_cleanup());
        co_await kept->next();
    };
    asyncio::run(keeps());
    EXPECT_TRUE(contains(reports(), "of the cleanup"));
    // Dropped.
    const auto drops = []() -> Coro<> {
        {
            auto dropped = cancelled_in_the_cleanup();
            co_await dropped.next();
        }
        co_await sleep(1ms);
    };
    asyncio::run(drops());
    EXPECT_TRUE(contains(reports(), "of the cleanup"));
    // Closed by hand: its caller gets it.
    const auto closes = []() -> Coro<std::string> {
        auto generator = cancelled_in_the_cleanup();
        co_await generator.next();
        try {
            co_await generator.aclose();
        } catch (const CancelledError& cancelled) {
            co_return cancelled.message();
        }
        co_return "nothing";
    };
    EXPECT_EQ(asyncio::run(closes()), "of the cleanup");
    EXPECT_EQ(reports(), "");
    // All at once, while the loop goes on.
    const auto shuts_down = [&]() -> Coro<> {
        kept.emplace(cancelled_in_the_cleanup());
        co_await kept->next();
        co_await asyncio::get_running_loop().shutdown_asyncgens();
    };
    asyncio::run(shuts_down());
    EXPECT_TRUE(contains(reports(), "of the cleanup"));
}

}  // namespace
