// Goal: `run` and Runner return what main returns, and leave nothing running behind: whatever tasks
// are left are cancelled, waited for, and heard.
// Method: mains that leave tasks of every kind behind; the log is compared.

#include "support/run_test.h"

#include <asyncio.h>

#include "support/tracked.h"

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::Runner;
using asyncio::RuntimeError;
using asyncio::sleep;
using support::LogCapture;
using support::MoveOnly;
using support::Tracked;
using namespace std::chrono_literals;

Coro<int> seven() {
    co_await sleep(0s);
    co_return 7;
}

TEST(run, RUN_01_returns_what_main_returns_and_throws_what_it_throws) {
    const LogCapture log;
    EXPECT_EQ(asyncio::run(seven()), 7);
    asyncio::run(sleep(1ms));
    const auto fails = []() -> Coro<> {
        co_await sleep(0s);
        throw std::runtime_error("broken");
    };
    EXPECT_THROW(asyncio::run(fails()), std::runtime_error);
    const auto cancels = []() -> Coro<> {
        asyncio::current_task().cancel();
        co_await sleep(0s);
    };
    EXPECT_THROW(asyncio::run(cancels()), CancelledError);
}

TEST(run, CPP_08_returns_any_kind_of_value) {
    const LogCapture log;
    const auto unique = []() -> Coro<MoveOnly> { co_return MoveOnly(3); };
    EXPECT_EQ(asyncio::run(unique()).number, 3);
    static int target = 0;
    const auto reference = []() -> Coro<int&> { co_return target; };
    EXPECT_EQ(&asyncio::run(reference()), &target);
}

TEST(run, RUN_02_inside_a_running_loop_it_is_refused_and_main_never_runs) {
    const LogCapture log;
    bool ran = false;
    const auto inner = [&](Tracked) -> Coro<> {
        ran = true;
        co_return;
    };
    const auto outer = [&]() -> Coro<> {
        EXPECT_THROW(asyncio::run(inner(Tracked())), RuntimeError);
        EXPECT_EQ(Tracked::alive(), 0);
        Runner runner;
        EXPECT_THROW(runner.run(inner(Tracked())), RuntimeError);
        EXPECT_EQ(Tracked::alive(), 0);
        co_return;
    };
    asyncio::run(outer());
    EXPECT_FALSE(ran);
}

TEST(run, RUN_04_tasks_that_are_left_are_cancelled_and_run_to_their_end) {
    const LogCapture log;
    std::string trace;
    const auto left = [&](const char* name) -> Coro<> {
        const Tracked alive;
        bool cancelled = false;
        try {
            co_await sleep(1h);
        } catch (const CancelledError&) {
            cancelled = true;
        }
        co_await sleep(1ms);
        trace += name;
        if (cancelled) throw CancelledError();
    };
    const auto main = [&]() -> Coro<int> {
        create_task(left("a"));
        create_task(left("b"));
        co_await sleep(0s);
        trace += "main ";
        co_return 7;
    };
    EXPECT_EQ(asyncio::run(main()), 7);
    EXPECT_EQ(trace, "main ab");
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(run, RUN_04_a_task_made_in_the_last_step_of_main_still_has_its_first) {
    const LogCapture log;
    bool ran = false;
    const auto left = [&](Tracked) -> Coro<> {
        ran = true;
        co_return;
    };
    const auto main = [&]() -> Coro<> {
        create_task(left(Tracked()));
        co_return;
    };
    asyncio::run(main());
    // As in Python: the loop ends one iteration after main, and in that one the task begins.
    EXPECT_TRUE(ran);
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(run, RUN_04_tasks_made_during_the_shutdown_are_ended_too) {
    const LogCapture log;
    int generations = 0;
    std::function<Coro<>()> reborn = [&]() -> Coro<> {
        try {
            co_await sleep(1h);
        } catch (const CancelledError&) {
            if (++generations < 5) create_task(reborn());
            throw;
        }
    };
    const auto main = [&]() -> Coro<> {
        create_task(reborn());
        co_await sleep(0s);
    };
    asyncio::run(main());
    EXPECT_EQ(generations, 5);
}

TEST(run, RUN_05_an_error_of_a_task_that_is_left_is_reported_and_main_keeps_its_result) {
    const LogCapture log;
    const auto left = []() -> Coro<> {
        try {
            co_await sleep(1h);
        } catch (const CancelledError&) {
            throw std::runtime_error("in the cleanup");
        }
    };
    const auto main = [&]() -> Coro<int> {
        create_task(left(), {.name = "the culprit"});
        co_await sleep(0s);
        co_return 7;
    };
    EXPECT_EQ(asyncio::run(main()), 7);
    const std::vector<std::string> lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(support::contains(lines[0], "in the cleanup")) << lines[0];
    EXPECT_TRUE(support::contains(lines[0], "the culprit")) << lines[0];
    EXPECT_TRUE(support::contains(lines[0], "unhandled exception")) << lines[0];
}

TEST(run, a_value_that_was_moved_out_of_a_left_task_is_no_error) {
    const LogCapture log;
    const auto main = [&]() -> Coro<> {
        auto task = create_task([]() -> Coro<MoveOnly> { co_return MoveOnly(1); }());
        const auto taker = [](asyncio::Task<MoveOnly> from) -> Coro<> {
            [[maybe_unused]] const MoveOnly taken = co_await std::move(from);
        };
        create_task(taker(task));
        co_return;
    };
    asyncio::run(main());
}

TEST(run, RUN_06_a_task_that_refuses_to_end_is_waited_for_and_after_a_while_named) {
    const LogCapture log;
    bool finished = false;
    const bool simulated = std::string_view(asyncio::EventLoop().backend_name()) == "simulated";
    const asyncio::Duration stubbornness =
        simulated ? asyncio::Duration(10s) : asyncio::Duration(5ms);
    const auto left = [&]() -> Coro<> {
        try {
            co_await sleep(1h);
        } catch (const CancelledError&) {
        }
        co_await sleep(stubbornness);
        finished = true;
    };
    const auto main = [&]() -> Coro<> {
        create_task(left(), {.name = "the stubborn one"});
        co_await sleep(0s);
    };
    asyncio::run(main());
    EXPECT_TRUE(finished);
    const std::vector<std::string> lines = LogCapture::take();
    EXPECT_EQ(lines.size(), simulated ? 1u : 0u);
    for (const std::string& line : lines) {
        EXPECT_TRUE(support::contains(line, "the stubborn one")) << line;
    }
}

TEST(run, RUN_07_several_runs_share_one_loop_and_tasks_live_on_between_them) {
    const LogCapture log;
    Runner runner;
    asyncio::EventLoop* first = nullptr;
    asyncio::Task<int> left;
    const auto one = [&]() -> Coro<> {
        first = &asyncio::get_running_loop();
        left = create_task(seven());
        co_return;
    };
    runner.run(one());
    const auto two = [&]() -> Coro<int> {
        EXPECT_EQ(first, &asyncio::get_running_loop());
        co_return co_await left;
    };
    EXPECT_EQ(runner.run(two()), 7);
    EXPECT_EQ(&runner.get_loop(), first);
}

TEST(run, RUN_08_a_runner_closes_twice_and_never_opens_again) {
    const LogCapture log;
    Runner runner;
    EXPECT_EQ(runner.run(seven()), 7);
    runner.close();
    runner.close();
    bool ran = false;
    const auto late = [&](Tracked) -> Coro<> {
        ran = true;
        co_return;
    };
    EXPECT_THROW(runner.run(late(Tracked())), RuntimeError);
    EXPECT_THROW(runner.get_loop(), RuntimeError);
    EXPECT_FALSE(ran);
    EXPECT_EQ(Tracked::alive(), 0);
    Runner unused;
    unused.close();
}

TEST(run, the_runners_loop_can_be_reached_from_inside) {
    const LogCapture log;
    Runner runner;
    const auto main = [&]() -> Coro<bool> {
        co_return &runner.get_loop() == &asyncio::get_running_loop();
    };
    EXPECT_TRUE(runner.run(main()));
}

TEST(run, a_runner_cannot_be_closed_by_its_own_main) {
    const LogCapture log;
    Runner runner;
    const auto main = [&]() -> Coro<int> {
        EXPECT_THROW(runner.close(), RuntimeError);
        co_return 7;
    };
    EXPECT_EQ(runner.run(main()), 7);
}

TEST(run, after_main_has_failed_what_is_left_is_ended_all_the_same) {
    const LogCapture log;
    bool ended = false;
    const auto left = [&]() -> Coro<> {
        try {
            co_await sleep(1h);
        } catch (const CancelledError&) {
            ended = true;
            throw;
        }
    };
    const auto main = [&]() -> Coro<> {
        create_task(left());
        co_await sleep(0s);
        throw std::runtime_error("broken");
    };
    EXPECT_THROW(asyncio::run(main()), std::runtime_error);
    EXPECT_TRUE(ended);
}

TEST(run, RUN_13_debug_mode_is_what_was_asked_for) {
    const LogCapture log;
    const auto debug = []() -> Coro<bool> { co_return asyncio::get_running_loop().get_debug(); };
    EXPECT_TRUE(asyncio::run(debug(), {.debug = true}));
    EXPECT_FALSE(asyncio::run(debug(), {.debug = false}));
    EXPECT_EQ(asyncio::run(debug()), asyncio::debug_requested());
}

TEST(run, a_main_that_deadlocks_is_named_and_everything_unwinds) {
    const LogCapture log;
    if (std::string_view(asyncio::EventLoop().backend_name()) != "simulated") {
        GTEST_SKIP() << "only the simulated world knows that nobody will come";
    }
    const auto main = []() -> Coro<> {
        const Tracked alive;
        auto future = asyncio::get_running_loop().create_future();
        co_await future;
    };
    EXPECT_THROW(asyncio::run(main()), asyncio::DeadlockError);
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(run, a_thousand_times_leaves_no_descriptor) {
    const LogCapture log;
    const auto lowest_free = [] {
        const int number = ::dup(0);
        ::close(number);
        return number;
    };
    const int before = lowest_free();
    for (int i = 0; i < 300; ++i) EXPECT_EQ(asyncio::run(seven()), 7);
    EXPECT_EQ(lowest_free(), before);
}

TEST(run, in_many_threads_at_once) {
    const LogCapture log;
    std::vector<std::thread> threads;
    std::vector<int> results(8);
    for (int& result : results) {
        threads.emplace_back([&result] {
            for (int i = 0; i < 20; ++i) result += asyncio::run(seven());
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int result : results) EXPECT_EQ(result, 140);
}

TEST(run, THR_11_each_thread_sees_the_tasks_of_its_own_loop_and_no_others) {
    const LogCapture log;
    constexpr std::size_t each = 50;
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&wrong] {
            asyncio::run([](std::atomic<int>& mistakes) -> Coro<> {
                for (std::size_t round = 0; round < each; ++round) {
                    const auto made =
                        asyncio::create_task([]() -> Coro<> { co_await asyncio::sleep(0s); }());
                    if (asyncio::all_tasks().size() != 2) ++mistakes;
                    co_await made;
                    if (asyncio::all_tasks().size() != 1) ++mistakes;
                }
            }(wrong));
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
