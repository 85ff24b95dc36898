// Goal: a coroutine handed to a loop by another thread brings its result, its error or its
// cancellation back to that thread, and the thread's cancellation reaches it.
// Method: the other thread is a job of the loop's own executor, so the loop waits for it on every
// back-end; run under ThreadSanitizer as well.

#include <asyncio/executor.h>
#include <asyncio/gather.h>
#include <asyncio/run.h>
#include <asyncio/thread_future.h>

#include "executors/executors_help.h"
#include "support/run_test.h"

#include <array>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace threads_test {

/// Can be moved once, from the caller to where it is kept; the move into its task fails.
struct FailsToMove {
    FailsToMove() = default;
    FailsToMove(FailsToMove&& other) : moves(other.moves + 1) {
        if (moves > 1) throw std::length_error("no room for a task");
    }
    auto operator co_await() const {
        return asyncio::sleep(asyncio::Duration::zero()).operator co_await();
    }
    int moves = 0;
};

}  // namespace threads_test

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::get_running_loop;
using asyncio::run_coroutine_threadsafe;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::ThreadFuture;
using asyncio::to_thread;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using threads_test::add;
using threads_test::FailsToMove;
using threads_test::until;
using namespace std::chrono_literals;

Coro<int> fail() {
    co_await sleep(0s);
    throw std::out_of_range("too far");
}

/// Notes its cancellation.
Coro<> wait_long(std::atomic<bool>& began, std::atomic<bool>& cancelled) {
    began = true;
    try {
        co_await sleep(1h);
    } catch (const CancelledError&) {
        cancelled = true;
        throw;
    }
}

TEST(run_coroutine_threadsafe, THR_07_the_result_travels_to_the_calling_thread) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const int sum = co_await to_thread([&] {
            ThreadFuture<int> future = run_coroutine_threadsafe(add(1, 2), loop);
            const int got = future.get();
            EXPECT_TRUE(future.done());
            EXPECT_FALSE(future.cancelled());
            EXPECT_FALSE(future.cancel());
            return got;
        });
        EXPECT_EQ(sum, 3);
    });
}

TEST(run_coroutine_threadsafe, THR_07_the_error_travels_to_the_calling_thread) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string said = co_await to_thread([&]() -> std::string {
            try {
                run_coroutine_threadsafe(fail(), loop).get();
            } catch (const std::out_of_range& error) {
                return error.what();
            }
            return "nothing";
        });
        EXPECT_EQ(said, "too far");
    });
}

TEST(run_coroutine_threadsafe, THR_07_a_cancelled_task_cancels_the_calling_threads_future) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        std::atomic<bool> began = false;
        std::atomic<bool> cancelled = false;
        auto waits = asyncio::create_task(to_thread([&] {
            auto future = run_coroutine_threadsafe(wait_long(began, cancelled), loop);
            EXPECT_THROW(future.get(), CancelledError);
            EXPECT_TRUE(future.cancelled());
        }));
        co_await until(began);
        for (const asyncio::TaskRef& task : asyncio::all_tasks()) {
            if (!(task == asyncio::current_task()) && !(task == asyncio::TaskRef(waits)))
                task.cancel();
        }
        co_await waits;
        EXPECT_TRUE(cancelled);
    });
}

TEST(run_coroutine_threadsafe, a_time_is_any_duration_and_one_beyond_all_counting_never_passes) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        co_await to_thread([&] {
            const auto soon = []() -> Coro<int> {
                co_await sleep(1ms);
                co_return 4;
            };
            auto future = run_coroutine_threadsafe(soon(), loop);
            EXPECT_TRUE(future.wait_for(std::chrono::years(1000)));
            EXPECT_EQ(future.get(std::chrono::hours::max()), 4);
            EXPECT_TRUE(future.wait_for(0.001s));
        });
    });
}

TEST(run_coroutine_threadsafe, THR_07_the_calling_threads_cancellation_reaches_the_coroutine) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        std::atomic<bool> began = false;
        std::atomic<bool> cancelled = false;
        co_await to_thread([&] {
            auto future = run_coroutine_threadsafe(wait_long(began, cancelled), loop);
            EXPECT_FALSE(future.wait_for(5ms));
            EXPECT_THROW(future.get(1ms), asyncio::TimeoutError);
            while (!began) std::this_thread::yield();
            EXPECT_TRUE(future.cancel());
            EXPECT_FALSE(future.cancel());
            EXPECT_TRUE(future.cancelled());
            EXPECT_THROW(future.get(), CancelledError);
        });
        co_await until(cancelled);
    });
}

TEST(run_coroutine_threadsafe, THR_09_both_sides_end_at_once_and_neither_complains) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        co_await to_thread([&] {
            int got = 0;
            for (int round = 0; round < 500; ++round) {
                auto instant = []() -> Coro<int> { co_return 1; };
                auto future = run_coroutine_threadsafe(instant(), loop);
                // Not given away: on a busy machine the turn would come back late.
                const auto moment = asyncio::Clock::now() + round % 50 * 1us;
                while (asyncio::Clock::now() < moment) {
                }
                if (future.cancel()) {
                    EXPECT_THROW(future.get(), CancelledError);
                } else {
                    got += future.get();
                }
            }
            EXPECT_GE(got, 0);
        });
    });
}

TEST(run_coroutine_threadsafe, THR_10_an_error_while_the_task_is_made_goes_to_the_calling_thread) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        co_await to_thread([&] {
            auto future = run_coroutine_threadsafe(FailsToMove(), loop);
            EXPECT_THROW(future.get(), std::length_error);
        });
    });
}

TEST(run_coroutine_threadsafe, a_dropped_handle_leaves_the_coroutine_alone) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        std::atomic<bool> done = false;
        auto note = [&]() -> Coro<> {
            co_await sleep(2ms);
            done = true;
        };
        co_await to_thread([&] { static_cast<void>(run_coroutine_threadsafe(note(), loop)); });
        co_await until(done);
    });
}

TEST(run_coroutine_threadsafe, THR_12_an_error_whose_handle_was_dropped_is_reported) {
    const LogCapture log;
    TestLoop loop;
    loop->run_until_complete([](EventLoop& on) -> Coro<> {
        co_await to_thread([&] { static_cast<void>(run_coroutine_threadsafe(fail(), on)); });
        for (int turns = 0; turns < 20; ++turns) co_await sleep(1ms);
    }(*loop));
    loop->close();
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "too far")) << lines[0];
}

TEST(run_coroutine_threadsafe,
     THR_12_an_error_nobody_has_asked_for_is_reported_when_the_handle_goes) {
    const LogCapture log;
    TestLoop loop;
    {
        auto future = run_coroutine_threadsafe(fail(), *loop);
        loop->run_until_complete([](const auto& failing) -> Coro<> {
            while (!failing.done()) co_await sleep(1ms);
        }(future));
        EXPECT_TRUE(LogCapture::take().empty());
    }
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "too far")) << lines[0];
}

TEST(run_coroutine_threadsafe, the_loops_own_thread_is_told_that_it_would_wait_for_itself) {
    run_test([]() -> Coro<> {
        auto future = run_coroutine_threadsafe(add(1, 2), get_running_loop());
        EXPECT_THROW(future.get(), RuntimeError);
        while (!future.done()) co_await sleep(1ms);
        EXPECT_EQ(future.get(), 3);
    });
}

TEST(run_coroutine_threadsafe, a_closed_loop_takes_nothing) {
    const LogCapture log;
    TestLoop loop;
    loop->close();
    EXPECT_THROW(static_cast<void>(run_coroutine_threadsafe(add(1, 2), *loop)), RuntimeError);
}

TEST(run_coroutine_threadsafe, what_a_closing_loop_has_not_begun_fails) {
    const LogCapture log;
    TestLoop loop;
    auto future = run_coroutine_threadsafe(add(1, 2), *loop);
    EXPECT_FALSE(future.done());
    loop->close();
    EXPECT_TRUE(future.done());
    EXPECT_THROW(future.get(), RuntimeError);
}

TEST(run_coroutine_threadsafe, a_call_may_be_cancelled_before_the_loop_has_seen_it) {
    const LogCapture log;
    TestLoop loop;
    bool began = false;
    auto note = [&]() -> Coro<> {
        began = true;
        co_return;
    };
    auto future = run_coroutine_threadsafe(note(), *loop);
    EXPECT_TRUE(future.cancel());
    loop->run_until_complete(sleep(1ms));
    EXPECT_FALSE(began);
    loop.expect_idle();
}

TEST(run_coroutine_threadsafe, a_closing_loop_cancels_what_runs) {
    const LogCapture log;
    TestLoop loop;
    std::atomic<bool> began = false;
    std::atomic<bool> cancelled = false;
    auto future = run_coroutine_threadsafe(wait_long(began, cancelled), *loop);
    loop->run_until_complete(until(began));
    loop->close();
    EXPECT_TRUE(cancelled);
    EXPECT_THROW(future.get(), CancelledError);
    static_cast<void>(LogCapture::take());
}

/// What a thread is told that uses `loop` in ways that only the loop's own thread may.
int refusals_on_another_thread(EventLoop& loop, const asyncio::Future<>& future,
                               const asyncio::TaskRef& task) {
    int refusals = 0;
    const auto attempt = [&](auto&& call) {
        try {
            call();
        } catch (const RuntimeError&) {
            ++refusals;
        }
    };
    attempt([&] { loop.call_soon([] {}); });
    attempt([&] { loop.call_later(1h, [] {}).cancel(); });
    attempt([&] { loop.call_at(asyncio::TimePoint(), [] {}); });
    attempt([&] { future.cancel(); });
    attempt([&] { future.set_result(); });
    attempt([&] { future.set_exception(std::runtime_error("wrong")); });
    attempt([&] { task.cancel(); });
    return refusals;
}

TEST(threads, THR_06_in_debug_mode_a_wrong_thread_is_refused) {
    const LogCapture log;
    TestLoop loop({.debug = true});
    loop->slow_callback_duration = 1h;
    loop->run_until_complete([]() -> Coro<> {
        EventLoop& own = get_running_loop();
        auto future = own.create_future();
        const asyncio::TaskRef task = asyncio::current_task();
        EXPECT_EQ(co_await to_thread([&] { return refusals_on_another_thread(own, future, task); }),
                  7);
        EXPECT_FALSE(future.done());
        EXPECT_EQ(task.cancelling(), 0U);
    }());
    loop->close();
}

TEST(threads, THR_06_a_loop_that_does_not_run_belongs_to_whoever_uses_it) {
    const LogCapture log;
    TestLoop loop({.debug = true});
    bool called = false;
    std::thread([&] { loop->call_soon([&] { called = true; }); }).join();
    loop.run_until_idle();
    EXPECT_TRUE(called);
}

TEST(threads, THR_11_all_tasks_is_consistent_while_other_loops_make_and_end_tasks) {
    const LogCapture log;
    std::array<std::thread, 3> threads;
    for (std::thread& thread : threads) {
        thread = std::thread([] {
            asyncio::run([]() -> Coro<> {
                for (int round = 0; round < 200; ++round) {
                    std::vector<asyncio::Task<>> tasks;
                    for (int i = 0; i < 5; ++i)
                        tasks.push_back(
                            asyncio::create_task([]() -> Coro<> { co_await sleep(0s); }()));
                    // Ours: the main task and the five.
                    EXPECT_EQ(asyncio::all_tasks().size(), 6U);
                    for (auto& task : tasks) co_await task;
                    EXPECT_EQ(asyncio::all_tasks().size(), 1U);
                }
            }());
        });
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
