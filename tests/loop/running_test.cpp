// Goal: when a loop may run and when not, how `run_until_complete` ends, and what a loop does about
// errors nobody awaits.
// Method: one loop per test; two where that is the point.

#include <asyncio/event_loop.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "support/run_test.h"
#include "support/tracked.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::ErrorContext;
using asyncio::EventLoop;
using asyncio::RuntimeError;
using support::LogCapture;
using support::TestLoop;
using support::Tracked;
using namespace std::chrono_literals;

Coro<int> seven() { co_return 7; }

Coro<int> seven_later() {
    co_await asyncio::sleep(1ms);
    co_return 7;
}

Coro<> failing() {
    co_await asyncio::sleep(0s);
    throw std::runtime_error("broken");
}

TEST(running, returns_what_the_coroutine_returns) {
    const LogCapture log;
    TestLoop loop;
    EXPECT_EQ(loop->run_until_complete(seven()), 7);
    EXPECT_EQ(loop->run_until_complete(seven_later()), 7);
    loop.expect_idle();
}

TEST(running, iterations_counts_those_that_ran_something) {
    const LogCapture log;
    TestLoop loop;
    EXPECT_EQ(loop->iterations(), 0U);
    loop.run_until_idle();
    EXPECT_EQ(loop->iterations(), 0U) << "nothing was ready";
    std::vector<std::uint64_t> seen;
    const auto note = [&] { seen.push_back(loop->iterations()); };
    const auto last = [&] {
        note();
        loop->stop();
    };
    loop->call_soon([&] {
        note();
        loop->call_soon([&] {
            note();
            loop->call_later(1ms, last);
        });
    });
    loop->call_soon(note);
    loop->run_forever();
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{1, 1, 2, 3}));
    loop.expect_idle();
}

TEST(running, LOOP_22_throws_what_the_coroutine_throws_and_does_not_report_it_again) {
    const LogCapture log;
    TestLoop loop;
    EXPECT_THROW(loop->run_until_complete(failing()), std::runtime_error);
    loop.expect_idle();
}

/// Only the simulated world ends a run from inside, by knowing that it could not go on.
TEST(running, LOOP_19_a_run_that_was_broken_off_leaves_nothing_behind) {
    const LogCapture log;
    TestLoop loop(asyncio::lowlevel::make_simulated_backend({}), {.debug = false});
    auto future = loop->create_future<int>();
    EXPECT_THROW(loop->run_until_complete(future), asyncio::DeadlockError);
    EXPECT_FALSE(future.done());

    // The end of that future no longer stops the loop, and its error has one reader only.
    loop->call_soon([&] { future.set_exception(std::runtime_error("later")); });
    bool ended = false;
    loop->run_until_complete([](bool& flag) -> Coro<> {
        co_await asyncio::sleep(5ms);
        flag = true;
    }(ended));
    EXPECT_TRUE(ended);
    EXPECT_THROW(loop->run_until_complete(future), std::runtime_error);
    loop.expect_idle();
}

TEST(running, accepts_a_task_a_future_and_any_other_awaitable) {
    const LogCapture log;
    TestLoop loop;
    auto task = loop->create_task(seven());
    EXPECT_EQ(loop->run_until_complete(task), 7);
    EXPECT_EQ(loop->run_until_complete(task), 7) << "it is done, and the handle has its value";
    auto future = loop->create_future<std::string>();
    loop->call_soon([future] { future.set_result("set"); });
    EXPECT_EQ(loop->run_until_complete(future), "set");
    loop->run_until_complete(asyncio::sleep(1ms));
    loop.expect_idle();
}

TEST(running, the_loop_can_be_run_many_times) {
    const LogCapture log;
    TestLoop loop;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(loop->run_until_complete(seven_later()), 7);
    loop.expect_idle();
}

TEST(running, is_known_to_the_code_that_runs_in_it_only) {
    const LogCapture log;
    TestLoop loop;
    EXPECT_FALSE(loop->is_running());
    EXPECT_THROW(asyncio::get_running_loop(), RuntimeError);
    EventLoop* seen = nullptr;
    loop->call_soon([&] {
        seen = &asyncio::get_running_loop();
        EXPECT_TRUE(loop->is_running());
    });
    loop->stop();
    loop->run_forever();
    EXPECT_EQ(seen, &*loop);
    EXPECT_FALSE(loop->is_running());
    EXPECT_THROW(asyncio::get_running_loop(), RuntimeError);
}

TEST(running, LOOP_13_a_stop_before_the_end_is_an_error_and_the_future_goes_on) {
    const LogCapture log;
    TestLoop loop;
    auto task = loop->create_task(seven_later());
    loop->call_soon([&] { loop->stop(); });
    EXPECT_THROW(loop->run_until_complete(task), RuntimeError);
    EXPECT_FALSE(task.done());
    EXPECT_EQ(loop->run_until_complete(task), 7);
    loop.expect_idle();
}

TEST(running, LOOP_13_the_end_of_a_future_whose_run_was_stopped_stops_no_later_run) {
    const LogCapture log;
    TestLoop loop;
    auto future = loop->create_future();
    loop->call_soon([&] { loop->stop(); });
    EXPECT_THROW(loop->run_until_complete(future), RuntimeError);
    loop->call_soon([&] { future.set_result(); });
    bool ended = false;
    loop->run_until_complete([](bool& flag) -> Coro<> {
        co_await asyncio::sleep(5ms);
        flag = true;
    }(ended));
    EXPECT_TRUE(ended);
    loop.expect_idle();
}

TEST(running, a_stop_in_the_iteration_in_which_the_future_is_seen_done_is_no_error) {
    const LogCapture log;
    TestLoop loop;
    auto task = loop->create_task(seven());
    task.add_done_callback([&] { loop->stop(); });
    EXPECT_EQ(loop->run_until_complete(task), 7);
    loop.expect_idle();
}

TEST(running, LOOP_14_a_loop_cannot_run_inside_itself_nor_inside_another) {
    const LogCapture log;
    TestLoop outer;
    TestLoop inner;
    int refused = 0;
    const auto expect_refusal = [&](auto&& attempt) {
        try {
            attempt();
        } catch (const RuntimeError&) {
            ++refused;
        }
    };
    outer->call_soon([&] {
        expect_refusal([&] { outer->run_forever(); });
        expect_refusal([&] { inner->run_forever(); });
        expect_refusal([&] { outer->run_until_complete(seven()); });
        expect_refusal([&] { inner->run_until_complete(seven()); });
    });
    outer->stop();
    outer->run_forever();
    EXPECT_EQ(refused, 4);
    EXPECT_EQ(inner->run_until_complete(seven()), 7) << "the inner one is unharmed";
    outer.expect_idle();
    inner.expect_idle();
}

TEST(running, LOOP_14_the_coroutine_that_was_refused_never_runs) {
    const LogCapture log;
    TestLoop loop;
    bool ran = false;
    const auto touch = [](bool& flag, Tracked) -> Coro<> {
        flag = true;
        co_return;
    };
    loop->call_soon([&] {
        EXPECT_THROW(loop->run_until_complete(touch(ran, Tracked())), RuntimeError);
        EXPECT_EQ(Tracked::alive(), 0) << "its arguments are destroyed with it";
    });
    loop->stop();
    loop->run_forever();
    loop.expect_idle();
    EXPECT_FALSE(ran);
}

TEST(running, LOOP_15_a_closed_loop_takes_no_coroutine_and_destroys_what_it_was_given) {
    const LogCapture log;
    TestLoop loop;
    loop->close();
    const auto hold = [](Tracked) -> Coro<> { co_return; };
    EXPECT_THROW(loop->run_until_complete(hold(Tracked())), RuntimeError);
    EXPECT_THROW(loop->create_task(hold(Tracked())), RuntimeError);
    EXPECT_EQ(Tracked::alive(), 0);
}

TEST(running, LOOP_23_a_future_of_another_loop_is_refused) {
    const LogCapture log;
    TestLoop mine;
    TestLoop theirs;
    auto future = theirs->create_future<int>();
    EXPECT_THROW(mine->run_until_complete(future), std::invalid_argument);
    EXPECT_THROW(asyncio::ensure_future(future, *mine), std::invalid_argument);
}

TEST(running, loops_run_in_threads_beside_each_other) {
    const LogCapture log;
    std::vector<std::thread> threads;
    int results[4] = {};
    for (int& result : results) {
        threads.emplace_back([&result] {
            TestLoop loop;
            result = loop->run_until_complete(seven_later());
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int result : results) EXPECT_EQ(result, 7);
}

TEST(running, a_wait_without_end_is_a_deadlock_where_that_can_be_known) {
    const LogCapture log;
    TestLoop loop;
    if (!loop.simulated()) GTEST_SKIP() << "only the simulated world knows that nobody will come";
    const auto stuck = []() -> Coro<> {
        auto never_set = asyncio::get_running_loop().create_future();
        co_await never_set;
    };
    auto task = loop->create_task(stuck(), {.name = "the one that is stuck"});
    try {
        loop->run_until_complete(task);
        FAIL();
    } catch (const asyncio::DeadlockError& error) {
        EXPECT_TRUE(support::contains(error.what(), "the one that is stuck")) << error.what();
        EXPECT_TRUE(support::contains(error.what(), "running_test.cpp")) << error.what();
    }
    task.cancel();
    EXPECT_THROW(loop->run_until_complete(task), asyncio::CancelledError);
    loop.expect_idle();
}

// --- Errors nobody awaits ------------------------------------------------------------------------

std::vector<std::string> told;

void tell(EventLoop&, const ErrorContext& context) {
    told.push_back(std::string(context.message) + "|" + asyncio::describe(context.exception) + "|" +
                   std::string(context.task_name));
}

void throw_from_handler(EventLoop&, const ErrorContext&) { throw std::logic_error("handler"); }

TEST(running, LOOP_17_the_exception_handler_is_told_what_happened) {
    const LogCapture log;
    TestLoop loop;
    told.clear();
    loop->set_exception_handler(&tell);
    loop->call_soon([] { throw std::runtime_error("broken"); });
    loop.run_until_idle();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0], "a callback threw an exception|broken|");
    loop->set_exception_handler(nullptr);
    loop->call_soon([] { throw std::runtime_error("again"); });
    loop.run_until_idle();
    EXPECT_EQ(told.size(), 1u);
    EXPECT_EQ(LogCapture::take().size(), 1u) << "the default handler logs";
}

TEST(running, LOOP_20_a_handler_that_throws_is_reported_with_what_it_was_told) {
    const LogCapture log;
    TestLoop loop;
    loop->set_exception_handler(&throw_from_handler);
    bool next_ran = false;
    loop->call_soon([] { throw std::runtime_error("broken"); });
    loop->call_soon([&] { next_ran = true; });
    loop.run_until_idle();
    EXPECT_TRUE(next_ran);
    const std::vector<std::string> lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_TRUE(support::contains(lines[0], "handler")) << lines[0];
    EXPECT_TRUE(support::contains(lines[1], "broken")) << lines[1];
}

TEST(running, a_program_may_report_errors_of_its_own) {
    const LogCapture log;
    TestLoop loop;
    told.clear();
    loop->set_exception_handler(&tell);
    loop->call_exception_handler({.message = "odd", .exception = nullptr, .task_name = "T"});
    EXPECT_EQ(told, std::vector<std::string>{"odd|no error|T"});
}

}  // namespace
