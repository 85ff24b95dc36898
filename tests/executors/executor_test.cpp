// Goal: functions that block run on threads, their results come back, and the loop goes on
// meanwhile; a cancellation ends the wait and not the thread; nothing is left behind at the end.
// Method: jobs that are held by semaphores until the test lets them go, so that no test depends on
// how fast a thread is. Real threads on every back-end; run under ThreadSanitizer as well.

#include <asyncio/executor.h>
#include <asyncio/gather.h>
#include <asyncio/run.h>
#include <asyncio/sleep.h>
#include <asyncio/timeout.h>

#include "executors/executors_help.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::EventLoop;
using asyncio::get_running_loop;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::ThreadPoolExecutor;
using asyncio::to_thread;
using support::LogCapture;
using support::MoveOnly;
using support::run_test;
using support::TestLoop;
using threads_test::Counted;
using threads_test::ends_cancelled;
using threads_test::Semaphore;
using threads_test::square;
using threads_test::until;
using namespace std::chrono_literals;

// Calling.

TEST(executor, a_job_that_is_over_hides_no_deadlock) {
    const LogCapture log;
    const auto body = []() -> Coro<> {
        EXPECT_EQ(co_await to_thread([] { return 7; }), 7);
        co_await get_running_loop().create_future();
    };
    EXPECT_THROW(asyncio::run(body(), {.debug = false,
                                       .backend = asyncio::lowlevel::BackendKind::simulated}),
                 asyncio::DeadlockError);
}

TEST(to_thread, returns_what_the_function_returns) {
    run_test([]() -> Coro<> {
        EXPECT_EQ(co_await to_thread(square, 7), 49);
        const std::string text = "text";
        EXPECT_EQ(
            co_await to_thread([](std::string a, int b) { return a + std::to_string(b); }, text, 1),
            "text1");
        co_await to_thread([] {});
        const MoveOnly moved = co_await to_thread([] { return MoveOnly(5); });
        EXPECT_EQ(moved.number, 5);
    });
}

TEST(to_thread, runs_the_function_on_another_thread_where_no_loop_runs) {
    run_test([]() -> Coro<> {
        const auto here = std::this_thread::get_id();
        EXPECT_NE(co_await to_thread([] { return std::this_thread::get_id(); }), here);
        EXPECT_EQ(co_await to_thread([] { return asyncio::internal::here.loop; }), nullptr);
    });
}

TEST(to_thread, throws_what_the_function_throws) {
    run_test([]() -> Coro<> {
        std::string said;
        try {
            co_await to_thread([] { throw std::runtime_error("broken"); });
        } catch (const std::runtime_error& error) {
            said = error.what();
        }
        EXPECT_EQ(said, "broken");
    });
}

TEST(to_thread, moves_its_arguments_and_destroys_each_copy_once) {
    run_test([]() -> Coro<> {
        auto take = [](MoveOnly given, const Counted&) { return given.number; };
        EXPECT_EQ(co_await to_thread(take, MoveOnly(3), Counted()), 3);
    });
    EXPECT_EQ(Counted::alive(), 0);
}

TEST(to_thread, gives_references_where_they_are_asked_for) {
    run_test([]() -> Coro<> {
        int number = 1;
        co_await to_thread([](int& given) { given = 2; }, std::ref(number));
        EXPECT_EQ(number, 2);
        int& same = co_await to_thread([&]() -> int& { return number; });
        EXPECT_EQ(&same, &number);
    });
}

asyncio::ContextVar<int> number_of_request("number_of_request", 0);

TEST(to_thread, CTX_01_the_thread_sees_the_context_and_run_in_executors_does_not) {
    run_test([]() -> Coro<> {
        number_of_request.set(7);
        const auto read_and_set = [] {
            const int seen = number_of_request.get();
            number_of_request.set(8);
            return seen;
        };
        EXPECT_EQ(co_await to_thread(read_and_set), 7);
        EXPECT_EQ(number_of_request.get(), 7) << "what the thread sets is its own";
        EXPECT_EQ(co_await to_thread(read_and_set), 7);
        EXPECT_EQ(co_await get_running_loop().run_in_executor(
                      nullptr, [] { return number_of_request.get(); }),
                  0);
    });
}

TEST(to_thread, begins_when_it_is_awaited_and_run_in_executor_at_once) {
    run_test([]() -> Coro<> {
        std::atomic<bool> ran = false;
        const auto note = [&ran] { ran = true; };
        {
            auto unused = to_thread(note);
            co_await sleep(2ms);
        }
        EXPECT_FALSE(ran);
        auto future = get_running_loop().run_in_executor(nullptr, note);
        co_await until(ran);
        co_await future;
    });
}

TEST(to_thread, EXE_06_jobs_really_run_at_the_same_time) {
    run_test([]() -> Coro<> {
        // Each waits for the other.
        Semaphore first(0);
        Semaphore second(0);
        auto one = [&] { first.release(), second.acquire(); };
        auto other = [&] { second.release(), first.acquire(); };
        co_await asyncio::gather(to_thread(one), to_thread(other));
    });
}

TEST(to_thread, leaves_the_loop_free_meanwhile) {
    run_test([]() -> Coro<> {
        Semaphore go(0);
        auto task = create_task(to_thread([&] { go.acquire(); }));
        for (int turn = 0; turn < 100; ++turn) co_await sleep(0s);
        EXPECT_FALSE(task.done());
        go.release();
        co_await task;
    });
}

TEST(to_thread, thousands_of_jobs_all_return) {
    run_test([]() -> Coro<> {
        std::vector<Coro<int>> jobs;
        for (int i = 0; i < 3000; ++i) jobs.push_back(to_thread(square, i));
        const std::vector<int> results = co_await asyncio::gather(std::move(jobs));
        for (int i = 0; i < 3000; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)], i * i);
    });
}

// Cancelling.

TEST(run_in_executor, EXE_02_a_cancelled_await_ends_at_once_and_the_late_result_is_dropped) {
    run_test([]() -> Coro<> {
        Semaphore go(0);
        std::atomic<bool> began = false;
        std::atomic<bool> ended = false;
        auto task = create_task(to_thread([&] {
            began = true;
            go.acquire();
            ended = true;
            return Counted();
        }));
        co_await until(began);
        task.cancel("enough");
        std::string said;
        try {
            co_await task;
        } catch (const CancelledError& error) {
            said = error.message();
        }
        EXPECT_EQ(said, "enough");
        EXPECT_FALSE(ended) << "the thread cannot have ended yet";
        go.release();
        co_await until(ended);
        co_await get_running_loop().shutdown_default_executor();
    });
    EXPECT_EQ(Counted::alive(), 0);
}

TEST(run_in_executor, EXE_02_a_late_error_is_dropped_as_silently) {
    run_test([]() -> Coro<> {
        Semaphore go(0);
        std::atomic<bool> began = false;
        auto task = create_task(to_thread([&] {
            began = true;
            go.acquire();
            throw std::runtime_error("too late");
        }));
        co_await until(began);
        task.cancel();
        EXPECT_TRUE(co_await ends_cancelled(task));
        go.release();
        co_await get_running_loop().shutdown_default_executor();
    });
}

TEST(run_in_executor, EXE_02_a_function_that_takes_a_stop_token_is_told) {
    run_test([]() -> Coro<> {
        std::atomic<bool> began = false;
        std::atomic<bool> stopped = false;
        const auto work = [&](std::stop_token stop, int step) {
            began = true;
            while (!stop.stop_requested()) std::this_thread::sleep_for(step * 1ms);
            stopped = true;
        };
        auto task = create_task(to_thread(work, 1));
        co_await until(began);
        EXPECT_FALSE(stopped);
        task.cancel();
        EXPECT_TRUE(co_await ends_cancelled(task));
        co_await until(stopped);
    });
}

TEST(run_in_executor, EXE_02_a_limit_tells_the_stop_token_too) {
    run_test([]() -> Coro<> {
        std::atomic<bool> began = false;
        std::atomic<bool> stopped = false;
        const auto work = [&](std::stop_token stop) {
            began = true;
            while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
            stopped = true;
        };
        bool late = false;
        auto job = asyncio::ensure_future(to_thread(work));
        // One that is still in the queue when the limit passes is never run.
        co_await until(began);
        try {
            co_await asyncio::wait_for(job, 5ms);
        } catch (const asyncio::TimeoutError&) {
            late = true;
        }
        EXPECT_TRUE(late);
        co_await until(stopped);
    });
}

TEST(run_in_executor, EXE_03_a_queued_job_that_is_cancelled_never_runs) {
    run_test([]() -> Coro<> {
        ThreadPoolExecutor one({.max_workers = 1});
        Semaphore go(0);
        EventLoop& loop = get_running_loop();
        auto busy = loop.run_in_executor(one, [&] { go.acquire(); });
        std::atomic<bool> ran = false;
        auto queued = loop.run_in_executor(one, [&](const Counted&) { ran = true; }, Counted());
        EXPECT_GT(Counted::alive(), 0);
        EXPECT_TRUE(queued.cancel());
        EXPECT_EQ(Counted::alive(), 0) << "what the job held is released with the cancellation";
        auto after = loop.run_in_executor(one, square, 2);
        go.release();
        co_await busy;
        EXPECT_EQ(co_await after, 4);
        EXPECT_FALSE(ran);
        EXPECT_TRUE(queued.cancelled());
    });
}

TEST(run_in_executor, a_cancellation_and_the_end_of_the_job_race_and_nothing_breaks) {
    run_test([]() -> Coro<> {
        std::atomic<int> ran = 0;
        int returned = 0;
        for (int round = 0; round < 500; ++round) {
            auto task = create_task(to_thread([&] { ++ran; }));
            for (int turn = 0; turn < round % 7; ++turn) co_await sleep(0s);
            task.cancel();
            if (!co_await ends_cancelled(task)) ++returned;
        }
        co_await get_running_loop().shutdown_default_executor();
        EXPECT_LE(returned, ran);
    });
}

TEST(run_in_executor, a_job_that_throws_a_cancellation_ends_as_cancelled) {
    run_test([]() -> Coro<> {
        auto future =
            get_running_loop().run_in_executor(nullptr, [] { throw CancelledError("by itself"); });
        EXPECT_TRUE(co_await ends_cancelled(future));
        EXPECT_TRUE(future.cancelled());
    });
}

TEST(run_in_executor, an_error_nobody_asks_for_is_reported) {
    const LogCapture log;
    TestLoop loop;
    loop->run_until_complete([]() -> Coro<> {
        std::atomic<bool> ran = false;
        get_running_loop().run_in_executor(nullptr, [&] {
            ran = true;
            throw std::runtime_error("unseen");
        });
        co_await until(ran);
        co_await get_running_loop().shutdown_default_executor();
    }());
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "never retrieved")) << lines[0];
    EXPECT_TRUE(support::contains(lines[0], "unseen")) << lines[0];
}

// Executors.

TEST(executor, the_default_one_has_pythons_size_and_starts_threads_on_demand) {
    ThreadPoolExecutor pool;
    const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
    EXPECT_EQ(pool.max_workers(), std::min<std::size_t>(32, processors + 4));
    EXPECT_EQ(pool.thread_count(), 0U);
    run_test([&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        for (int i = 0; i < 5; ++i) {
            co_await loop.run_in_executor(pool, square, i);
            // The result is here before the thread has gone back to be idle.
            while (!pool.busy().empty()) co_await sleep(0s);
        }
        EXPECT_EQ(pool.thread_count(), 1U) << "an idle thread is used before a new one is started";
        Semaphore go(0);
        std::vector<asyncio::Future<>> busy;
        for (int i = 0; i < 3; ++i)
            busy.push_back(loop.run_in_executor(pool, [&] { go.acquire(); }));
        EXPECT_EQ(pool.thread_count(), 3U);
        go.release(3);
        for (const auto& future : busy) co_await future;
    });
    pool.shutdown();
    EXPECT_EQ(pool.thread_count(), 0U);
}

TEST(executor, never_has_more_threads_than_it_may) {
    run_test([]() -> Coro<> {
        ThreadPoolExecutor pool({.max_workers = 3});
        std::atomic<int> now = 0;
        std::atomic<int> most = 0;
        std::vector<asyncio::Future<>> jobs;
        for (int i = 0; i < 200; ++i) {
            jobs.push_back(get_running_loop().run_in_executor(pool, [&] {
                const int running = ++now;
                int seen = most;
                while (seen < running && !most.compare_exchange_weak(seen, running)) {
                }
                std::this_thread::yield();
                --now;
            }));
        }
        for (const auto& job : jobs) co_await job;
        EXPECT_LE(most, 3);
        EXPECT_GE(most, 1);
    });
}

TEST(executor, names_its_threads) {
    run_test([]() -> Coro<> {
        ThreadPoolExecutor pool({.max_workers = 1, .thread_name_prefix = "diver"});
        const auto name = [] {
            char text[16];
            ::pthread_getname_np(::pthread_self(), text, sizeof text);
            return std::string(text);
        };
        EXPECT_EQ(co_await get_running_loop().run_in_executor(pool, name), "diver_0");
        EXPECT_EQ(co_await to_thread(name), "asyncio_0");
    });
}

TEST(executor, its_destructor_waits_for_queued_jobs_too) {
    run_test([]() -> Coro<> {
        std::atomic<int> ran = 0;
        std::vector<asyncio::Future<>> jobs;
        {
            ThreadPoolExecutor pool({.max_workers = 2});
            for (int i = 0; i < 50; ++i)
                jobs.push_back(get_running_loop().run_in_executor(pool, [&] { ++ran; }));
        }
        EXPECT_EQ(ran, 50);
        for (const auto& job : jobs) co_await job;
    });
}

TEST(executor, shutdown_can_cancel_what_has_not_begun) {
    run_test([]() -> Coro<> {
        ThreadPoolExecutor pool({.max_workers = 1});
        Semaphore go(0);
        std::atomic<bool> began = false;
        EventLoop& loop = get_running_loop();
        auto busy = loop.run_in_executor(pool, [&] { began = true, go.acquire(); });
        auto queued = loop.run_in_executor(pool, square, 3);
        co_await until(began);
        pool.shutdown({.wait = false, .cancel_futures = true});
        EXPECT_TRUE(co_await ends_cancelled(queued));
        go.release();
        co_await busy;
        EXPECT_THROW(loop.run_in_executor(pool, square, 4), RuntimeError);
    });
}

TEST(executor, a_job_may_end_the_last_handle_of_its_own_executor) {
    run_test([]() -> Coro<> {
        auto pool = std::make_shared<ThreadPoolExecutor>();
        auto& executor = *pool;
        co_await get_running_loop().run_in_executor(executor, [last = &pool] { last->reset(); });
    });
}

/// Runs each job on a thread of its own.
class ThreadPerJob final : public asyncio::Executor {
public:
    ~ThreadPerJob() override {
        for (std::thread& thread : threads_) thread.join();
    }
    void submit(asyncio::ExecutorJob job) override {
        threads_.emplace_back([given = std::move(job)]() mutable { given(); });
    }

private:
    std::vector<std::thread> threads_;
};

TEST(executor, a_programs_own_runs_jobs_as_well) {
    run_test([]() -> Coro<> {
        ThreadPerJob own;
        EXPECT_EQ(co_await get_running_loop().run_in_executor(own, square, 9), 81);
    });
}

/// Has no use for jobs.
class Careless final : public asyncio::Executor {
public:
    void submit(asyncio::ExecutorJob) override {}
};

TEST(executor, a_job_that_is_dropped_is_cancelled_and_nobody_hangs) {
    run_test([]() -> Coro<> {
        Careless careless;
        auto future = get_running_loop().run_in_executor(careless, square, 9);
        EXPECT_TRUE(co_await ends_cancelled(future));
    });
}

}  // namespace
