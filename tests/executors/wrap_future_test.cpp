// Goal: what a thread of the user's own promises, and what runs on the loop of another thread, can
// be awaited; the end of either side is the end of the other, whoever comes first.
// Method: threads are jobs of an executor or plain ones that are joined; the races run many times,
// under ThreadSanitizer as well.

#include <asyncio/executor.h>
#include <asyncio/run.h>
#include <asyncio/thread_future.h>
#include <asyncio/timeout.h>

#include "executors/executors_help.h"
#include "support/run_test.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::Future;
using asyncio::get_running_loop;
using asyncio::InvalidStateError;
using asyncio::run_coroutine_threadsafe;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::Task;
using asyncio::ThreadFuture;
using asyncio::ThreadPromise;
using asyncio::to_thread;
using asyncio::wrap_future;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using threads_test::add;
using threads_test::ends_cancelled;
using threads_test::until;
using namespace std::chrono_literals;

TEST(ThreadPromise, gives_its_value_to_the_thread_that_waits) {
    ThreadPromise<std::string> promise;
    ThreadFuture<std::string> future = promise.future();
    EXPECT_FALSE(future.wait_for(1ms));
    std::thread other(
        [given = std::move(promise)]() mutable { EXPECT_TRUE(given.set_result("kept")); });
    EXPECT_EQ(future.get(), "kept");
    EXPECT_FALSE(future.cancelled());
    other.join();
}

TEST(ThreadPromise, gives_its_error) {
    ThreadPromise<> promise;
    ThreadFuture<> future = promise.future();
    EXPECT_TRUE(promise.set_exception(std::out_of_range("too far")));
    EXPECT_THROW(future.get(), std::out_of_range);
}

TEST(ThreadPromise, has_one_future_and_is_kept_once) {
    ThreadPromise<int> promise;
    ThreadFuture<int> future = promise.future();
    EXPECT_THROW(static_cast<void>(promise.future()), InvalidStateError);
    EXPECT_TRUE(promise.set_result(1));
    EXPECT_THROW(promise.set_result(2), InvalidStateError);
    EXPECT_THROW(promise.set_exception(std::runtime_error("late")), InvalidStateError);
    EXPECT_FALSE(promise.cancel());
    EXPECT_EQ(future.get(), 1);
}

TEST(ThreadPromise, that_is_dropped_is_an_error_for_whoever_waits) {
    auto promise = std::make_unique<ThreadPromise<int>>();
    ThreadFuture<int> future = promise->future();
    promise.reset();
    EXPECT_TRUE(future.done());
    EXPECT_THROW(future.get(), RuntimeError);
}

TEST(ThreadPromise, may_be_destroyed_by_whoever_has_its_value) {
    for (int round = 0; round < 200; ++round) {
        auto promise = std::make_unique<ThreadPromise<int>>();
        ThreadFuture<int> future = promise->future();
        std::thread other([given = promise.get()] { given->set_result(1); });
        EXPECT_EQ(future.get(), 1);
        promise.reset();
        other.join();
    }
}

TEST(ThreadPromise, without_anybody_who_waits_goes_quietly) {
    const LogCapture log;
    {
        ThreadPromise<int> never_asked;
        ThreadPromise<int> dropped;
        static_cast<void>(dropped.future());
        ThreadPromise<int> kept;
        EXPECT_TRUE(kept.set_result(1));
    }
    EXPECT_TRUE(LogCapture::take().empty());
}

TEST(ThreadPromise, an_error_nobody_has_asked_for_is_reported) {
    const LogCapture log;
    {
        ThreadPromise<int> promise;
        static_cast<void>(promise.future());
        promise.set_exception(std::out_of_range("too far"));
    }
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "too far")) << lines[0];
}

TEST(ThreadPromise, FUT_09_a_value_after_a_cancellation_is_ignored) {
    ThreadPromise<int> promise;
    ThreadFuture<int> future = promise.future();
    EXPECT_FALSE(promise.cancelled());
    EXPECT_TRUE(future.cancel());
    EXPECT_FALSE(future.cancel());
    EXPECT_TRUE(promise.cancelled());
    EXPECT_FALSE(promise.set_result(1));
    EXPECT_THROW(future.get(), CancelledError);
}

TEST(wrap_future, FUT_09_the_value_of_a_thread_is_awaited) {
    run_test([]() -> Coro<> {
        ThreadPromise<std::string> promise;
        Future<std::string> future = wrap_future(promise.future());
        EXPECT_FALSE(future.done());
        auto keeps = create_task(to_thread([&] { EXPECT_TRUE(promise.set_result("kept")); }));
        EXPECT_EQ(co_await future, "kept");
        co_await keeps;
    });
}

TEST(wrap_future, FUT_09_the_error_of_a_thread_is_thrown) {
    run_test([]() -> Coro<> {
        ThreadPromise<int> promise;
        auto future = wrap_future(promise.future());
        std::thread other([&] { promise.set_exception(std::out_of_range("too far")); });
        EXPECT_THROW(co_await future, std::out_of_range);
        other.join();
    });
}

TEST(wrap_future, what_has_ended_already_ends_an_iteration_later) {
    run_test([]() -> Coro<> {
        ThreadPromise<int> promise;
        promise.set_result(5);
        auto future = wrap_future(promise.future());
        EXPECT_FALSE(future.done());
        EXPECT_EQ(co_await future, 5);
    });
}

TEST(wrap_future, FUT_09_a_future_of_the_loop_is_returned_as_it_is) {
    run_test([]() -> Coro<> {
        auto future = get_running_loop().create_future<int>();
        EXPECT_TRUE(wrap_future(future) == future);
        future.set_result(1);
        Task<> task = create_task([]() -> Coro<> { co_return; });
        EXPECT_TRUE(wrap_future(task) == task);
        co_await task;
    });
}

TEST(wrap_future, FUT_09_cancelling_the_loops_side_cancels_the_threads_side) {
    run_test([]() -> Coro<> {
        ThreadPromise<int> promise;
        auto future = wrap_future(promise.future());
        EXPECT_TRUE(future.cancel());
        EXPECT_TRUE(promise.cancelled());
        EXPECT_FALSE(promise.set_result(1));
        EXPECT_TRUE(co_await ends_cancelled(future));
    });
}

TEST(wrap_future, FUT_09_cancelling_the_threads_side_cancels_the_loops_side) {
    run_test([]() -> Coro<> {
        ThreadPromise<int> promise;
        auto future = wrap_future(promise.future());
        std::thread other([&] { EXPECT_TRUE(promise.cancel()); });
        EXPECT_TRUE(co_await ends_cancelled(future));
        EXPECT_TRUE(future.cancelled());
        other.join();
    });
}

TEST(wrap_future, FUT_09_a_value_set_in_the_iteration_of_the_cancellation_stays_with_the_thread) {
    run_test([]() -> Coro<> {
        ThreadPromise<int> promise;
        auto future = wrap_future(promise.future());
        EXPECT_TRUE(promise.set_result(42));
        EXPECT_TRUE(future.cancel());
        co_await sleep(1ms);
        EXPECT_TRUE(future.cancelled());
        EXPECT_FALSE(promise.cancelled());
    });
}

TEST(wrap_future, FUT_09_a_limit_cancels_the_threads_side) {
    run_test([]() -> Coro<> {
        ThreadPromise<int> promise;
        EXPECT_THROW(co_await asyncio::wait_for(wrap_future(promise.future()), 2ms),
                     asyncio::TimeoutError);
        EXPECT_TRUE(promise.cancelled());
    });
}

TEST(wrap_future, a_promise_that_is_dropped_is_an_error) {
    run_test([]() -> Coro<> {
        auto promise = std::make_unique<ThreadPromise<int>>();
        auto future = wrap_future(promise->future());
        promise.reset();
        EXPECT_THROW(co_await future, RuntimeError);
    });
}

TEST(wrap_future, FUT_09_both_sides_end_at_once_and_neither_complains) {
    run_test([]() -> Coro<> {
        int kept = 0;
        for (int round = 0; round < 300; ++round) {
            ThreadPromise<int> promise;
            auto future = wrap_future(promise.future());
            auto keeps = create_task(to_thread([&] { return promise.set_result(1); }));
            for (int turn = 0; turn < round % 7; ++turn) co_await sleep(0s);
            const bool cancelled = future.cancel();
            const bool was_kept = co_await keeps;
            EXPECT_EQ(co_await ends_cancelled(future), cancelled);
            EXPECT_NE(was_kept, promise.cancelled());
            kept += was_kept ? 1 : 0;
        }
        EXPECT_GE(kept, 0);
    });
}

/// A thread with a loop of its own, which ends with this, and cancels what it runs.
class OtherLoop {
public:
    OtherLoop() {
        ThreadPromise<EventLoop*> started;
        ThreadFuture<EventLoop*> loop = started.future();
        thread_ = std::thread([&] { asyncio::run(serve(started)); });
        loop_ = loop.get();
    }
    ~OtherLoop() {
        end_.set_result();
        thread_.join();
    }
    EventLoop& operator*() const { return *loop_; }

private:
    Coro<> serve(ThreadPromise<EventLoop*>& started) {
        auto end = wrap_future(end_.future());
        started.set_result(&get_running_loop());
        co_await end;
    }

    ThreadPromise<> end_;
    EventLoop* loop_ = nullptr;
    std::thread thread_;
};

Coro<> wait_for_thread(std::atomic<bool>& began, std::atomic<bool>& cancelled) {
    ThreadPromise<> never;
    began = true;
    try {
        co_await wrap_future(never.future());
    } catch (const CancelledError&) {
        cancelled = true;
        throw;
    }
}

TEST(wrap_future, a_coroutine_of_another_loop_is_awaited) {
    run_test([]() -> Coro<> {
        const OtherLoop other;
        EXPECT_EQ(co_await wrap_future(run_coroutine_threadsafe(add(1, 2), *other)), 3);
    });
}

TEST(wrap_future, FUT_09_a_cancellation_reaches_the_coroutine_of_another_loop) {
    run_test([]() -> Coro<> {
        const OtherLoop other;
        std::atomic<bool> began = false;
        std::atomic<bool> cancelled = false;
        auto waits = create_task([&]() -> Coro<> {
            co_await wrap_future(
                run_coroutine_threadsafe(wait_for_thread(began, cancelled), *other));
        });
        co_await until(began);
        waits.cancel();
        EXPECT_TRUE(co_await ends_cancelled(waits));
        co_await until(cancelled);
    });
}

TEST(wrap_future, FUT_09_the_cancelled_coroutine_of_another_loop_cancels_who_awaits_it) {
    run_test([]() -> Coro<> {
        std::atomic<bool> began = false;
        std::atomic<bool> cancelled = false;
        Future<> future;
        {
            const OtherLoop other;
            future =
                wrap_future(run_coroutine_threadsafe(wait_for_thread(began, cancelled), *other));
            co_await until(began);
        }
        EXPECT_TRUE(co_await ends_cancelled(future));
        EXPECT_TRUE(cancelled);
    });
}

TEST(wrap_future, FUT_09_a_call_cancelled_as_the_other_loop_begins_it_is_cancelled_once) {
    run_test([]() -> Coro<> {
        const OtherLoop other;
        for (int round = 0; round < 300; ++round) {
            std::atomic<int> ended = 0;
            auto sleeps = [&]() -> Coro<> {
                ThreadPromise<> never;
                try {
                    co_await wrap_future(never.future());
                } catch (const CancelledError&) {
                    EXPECT_EQ(asyncio::current_task().cancelling(), 1U);
                    ++ended;
                    throw;
                }
            };
            auto future = run_coroutine_threadsafe(sleeps(), *other);
            for (int turn = 0; turn < round * 20; ++turn) static_cast<void>(future.done());
            EXPECT_TRUE(future.cancel());
            // One that is not cancelled would be waited for here.
            std::atomic<bool> idle = false;
            (*other).call_soon_threadsafe(
                [&] { (*other).call_soon([&] { (*other).call_soon([&] { idle = true; }); }); });
            co_await until(idle);
            std::size_t left = 0;
            std::atomic<bool> counted = false;
            (*other).call_soon_threadsafe([&] {
                left = asyncio::all_tasks(*other).size();
                counted = true;
            });
            co_await until(counted);
            EXPECT_EQ(left, 1U) << round;
            if (left != 1U) break;
        }
    });
}

TEST(wrap_future, FUT_09_a_loop_that_has_closed_hears_no_more) {
    const LogCapture log;
    ThreadPromise<std::string> promise;
    ThreadPromise<std::string> failing;
    {
        TestLoop loop;
        auto kept = wrap_future(promise.future(), *loop);
        auto dropped = wrap_future(failing.future(), *loop);
        loop->run_until_complete(sleep(1ms));
        loop->close();
        EXPECT_FALSE(kept.done());
        EXPECT_FALSE(promise.cancelled());
        EXPECT_THROW(static_cast<void>(wrap_future(ThreadPromise<>().future(), *loop)),
                     RuntimeError);
    }
    EXPECT_TRUE(promise.set_result("nobody listens"));
    EXPECT_TRUE(LogCapture::take().empty());
    EXPECT_TRUE(failing.set_exception(std::out_of_range("too far")));
    failing = {};
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "too far")) << lines[0];
}

TEST(wrap_future, FUT_09_a_loop_closes_while_the_thread_ends) {
    const LogCapture log;
    for (int round = 0; round < 200; ++round) {
        ThreadPromise<int> promise;
        TestLoop loop;
        auto future = wrap_future(promise.future(), *loop);
        std::thread other([&] { promise.set_result(1); });
        for (int turn = 0; turn < round; ++turn) std::this_thread::yield();
        loop->close();
        other.join();
    }
    EXPECT_TRUE(LogCapture::take().empty());
}

}  // namespace
