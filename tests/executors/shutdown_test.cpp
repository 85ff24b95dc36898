// Goal: the default executor ends as `run` and Python have it: jobs are waited for, though not for
// ever; who is still busy then is named; a loop that is closed hears no more of its jobs.
// Method: as in executor_test.cpp. Threads that are left on purpose use objects that outlive them.

#include <asyncio/executor.h>
#include <asyncio/process_pool.h>
#include <asyncio/run.h>
#include <asyncio/sleep.h>

#include "executors/executors_help.h"
#include "support/run_test.h"
#include "support/sanitizer.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::get_running_loop;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::ThreadPoolExecutor;
using asyncio::to_thread;
using support::LogCapture;
using support::run_test;
using support::TestLoop;
using threads_test::Semaphore;
using threads_test::square;
using threads_test::until;
using namespace std::chrono_literals;

TEST(default_executor, EXE_04_takes_nothing_after_its_shutdown) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        EXPECT_EQ(co_await to_thread(square, 2), 4);
        co_await loop.shutdown_default_executor();
        EXPECT_THROW(loop.run_in_executor(nullptr, square, 2), RuntimeError);
        EXPECT_THROW(co_await to_thread(square, 2), RuntimeError);
        co_await loop.shutdown_default_executor();
    });
}

TEST(default_executor, shutdown_waits_for_jobs_that_wait_for_the_loop) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Semaphore answered(0);
        std::atomic<bool> done = false;
        auto job = loop.run_in_executor(nullptr, [&] {
            loop.call_soon_threadsafe([&] { answered.release(); });
            answered.acquire();
            done = true;
        });
        co_await loop.shutdown_default_executor();
        EXPECT_TRUE(done);
        co_await job;
    });
}

TEST(default_executor, shutdown_waits_for_all_threads_and_not_for_the_first) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Semaphore begun(0);
        Semaphore go(0);
        std::atomic<bool> done = false;
        auto busy = loop.run_in_executor(nullptr, [&] {
            begun.release();
            go.acquire();
            // Long enough for an idle thread to leave first.
            std::this_thread::sleep_for(50ms);
            done = true;
        });
        begun.acquire();
        EXPECT_EQ(co_await to_thread(square, 2), 4) << "on a thread of its own";
        go.release();
        co_await loop.shutdown_default_executor();
        EXPECT_TRUE(done);
        co_await busy;
    });
}

TEST(default_executor, shutdown_with_a_limit_names_who_is_busy_and_leaves) {
    const LogCapture log;
    // Outlives the thread, which is left to itself.
    static Semaphore go(0);
    static std::atomic<bool> gone = false;
    TestLoop loop;
    loop->run_until_complete([]() -> Coro<> {
        std::atomic<bool> began = false;
        auto job = get_running_loop().run_in_executor(
            nullptr, [](std::atomic<bool>* told) { *told = true, go.acquire(), gone = true; },
            &began);
        co_await until(began);
        co_await get_running_loop().shutdown_default_executor(10ms);
        job.cancel();
    }());
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "thread asyncio_0, busy for ")) << lines[0];
    EXPECT_TRUE(support::contains(lines[0], "lambda")) << lines[0];
    loop->close();
    go.release();
    while (!gone) std::this_thread::yield();
}

TEST(default_executor, a_shutdown_that_is_cancelled_while_a_thread_is_busy_ends_cancelled) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        static Semaphore go(0);  // outlives the thread, for which nobody waits then
        auto job = loop.run_in_executor(nullptr, [] { go.acquire(); });
        auto shutdown = asyncio::create_task(loop.shutdown_default_executor());
        co_await sleep(0s);
        shutdown.cancel();
        EXPECT_THROW(co_await shutdown, asyncio::CancelledError);
        go.release();
        co_await job;
    });
}

void wait_for_release(Semaphore* go) { go->acquire(); }

TEST(default_executor, a_busy_plain_function_is_called_by_its_name) {
    run_test([]() -> Coro<> {
        ThreadPoolExecutor pool;
        Semaphore go(0);
        auto job = get_running_loop().run_in_executor(pool, wait_for_release, &go);
        std::vector<std::string> busy;
        while ((busy = pool.busy()).empty()) co_await sleep(1ms);
        EXPECT_TRUE(support::contains(busy[0], "wait_for_release")) << busy[0];
        go.release();
        co_await job;
    });
}

TEST(default_executor, EXE_05_can_be_replaced) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        EXPECT_THROW(loop.set_default_executor(nullptr), std::invalid_argument);
        auto own = std::make_shared<ThreadPoolExecutor>(
            asyncio::ThreadPoolOptions{.max_workers = 1, .thread_name_prefix = "own"});
        loop.set_default_executor(own);
        co_await to_thread([] {});
        EXPECT_EQ(own->thread_count(), 1U);
    });
}

TEST(default_executor, EXE_05_can_be_given_away_as_a_value) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        loop.set_default_executor(
            ThreadPoolExecutor({.max_workers = 1, .thread_name_prefix = "given"}));
        EXPECT_EQ(co_await to_thread(square, 3), 9);
        ThreadPoolExecutor named({.max_workers = 1});
        EXPECT_EQ(co_await loop.run_in_executor(named, square, 2), 4);
        loop.set_default_executor(std::move(named));
        EXPECT_EQ(co_await to_thread(square, 4), 16);
    });
}

TEST(default_executor, EXE_05_replacing_one_that_is_busy_does_not_block_the_loop) {
    run_test([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Semaphore go(0);
        auto busy = loop.run_in_executor(nullptr, [&] { go.acquire(); });
        loop.set_default_executor(std::make_shared<ThreadPoolExecutor>());
        EXPECT_EQ(co_await to_thread(square, 3), 9);
        go.release();
        co_await busy;
    });
}

TEST(default_executor, EXE_07_a_loop_closed_with_jobs_in_flight_hears_no_more_of_them) {
    const LogCapture log;
    Semaphore go(0);
    std::atomic<int> ended = 0;
    bool called = false;
    ThreadPoolExecutor pool({.max_workers = 1});
    {
        TestLoop loop;
        loop->call_soon([&] {
            auto job = [&] { go.acquire(), ++ended; };
            loop->run_in_executor(pool, job).add_done_callback([&] { called = true; });
            loop->run_in_executor(pool, job).add_done_callback([&] { called = true; });
            loop->stop();
        });
        loop->run_forever();
        loop->close();
    }
    go.release(2);
    pool.shutdown();
    EXPECT_EQ(ended, 2) << "as in Python, what was handed over is done";
    EXPECT_FALSE(called);
}

TEST(default_executor, a_loop_that_is_closed_does_not_wait_for_the_threads_of_its_own) {
    const LogCapture log;
    // The thread uses them after the loop.
    static Semaphore go(0);
    static Semaphore ended(0);
    {
        TestLoop loop;
        loop->call_soon([&] {
            loop->run_in_executor(nullptr, [] { go.acquire(), ended.release(); });
            loop->stop();
        });
        loop->run_forever();
        loop->close();
    }
    go.release();
    ended.acquire();
}

TEST(default_executor, EXE_07_results_that_arrive_while_the_loop_closes_are_dropped) {
    const LogCapture log;
    for (int round = 0; round < 100; ++round) {
        TestLoop loop;
        std::atomic<int> ended = 0;
        ThreadPoolExecutor pool({.max_workers = 2});
        loop->call_soon([&] {
            for (int i = 0; i < 4; ++i) loop->run_in_executor(pool, [&] { ++ended; });
            loop->stop();
        });
        loop->run_forever();
        loop->close();
        pool.shutdown();
        EXPECT_EQ(ended, 4);
    }
}

// `run`.

TEST(run, RUN_16_waits_for_the_default_executors_jobs) {
    const LogCapture log;
    std::atomic<bool> ended = false;
    Semaphore go(0);
    std::thread other;
    asyncio::run([&]() -> Coro<> {
        get_running_loop().run_in_executor(nullptr, [&] { go.acquire(), ended = true; });
        other = std::thread([&] {
            std::this_thread::sleep_for(20ms);
            go.release();
        });
        co_return;
    }());
    EXPECT_TRUE(ended);
    other.join();
}

TEST(run, RUN_16_waits_no_longer_than_it_may_and_names_the_thread_that_is_busy) {
    const LogCapture log;
    static Semaphore busy(0);
    static Semaphore go(0);
    static std::atomic<bool> gone = false;
    const auto work = [] {
        busy.release();
        go.acquire();
        gone = true;
    };
    asyncio::run(
        [](auto job) -> Coro<> {
            get_running_loop().run_in_executor(nullptr, job);
            busy.acquire();
            co_return;
        }(work),
        {.executor_limit = 20ms});
    EXPECT_FALSE(gone);
    const auto lines = LogCapture::take();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(support::contains(lines[0], "still run:")) << lines[0];
    EXPECT_TRUE(support::contains(lines[0], "thread asyncio_0")) << lines[0];
    go.release();
    while (!gone) std::this_thread::yield();
}

// The end of the process.

/// A program that ends while a thread of its has something to do.
void exit_with_a_busy_thread(const std::string& path) {
    // Static, so that a leak checker finds it: the program ends here.
    static auto* const pool = new ThreadPoolExecutor;
    asyncio::run([](ThreadPoolExecutor& own, const std::string& file) -> Coro<> {
        get_running_loop().run_in_executor(
            own,
            [](const std::string& name) {
                std::this_thread::sleep_for(30ms);
                std::ofstream(name) << "done";
            },
            file);
        own.shutdown({.wait = false});
        co_return;
    }(*pool, path));
    std::exit(3);
}

TEST(exit, waits_for_threads_nobody_has_waited_for) {
    run_test([]() -> Coro<> {
        asyncio::ProcessPoolExecutor programs({.max_workers = 1});
        const std::string path =
            ::testing::TempDir() + "asyncio_shutdown_" + std::to_string(::getpid());
        std::string end;
        try {
            co_await get_running_loop().run_in_executor(programs, exit_with_a_busy_thread, path);
        } catch (const asyncio::BrokenProcessPool& error) {
            end = error.what();
        }
        EXPECT_TRUE(support::contains(end, "ended with status 3")) << end;
        EXPECT_TRUE(std::ifstream(path).good()) << "the job was cut off";
        std::remove(path.c_str());
    });
}

TEST(fork, leaves_the_threads_behind_and_the_child_is_told) {
    run_test([]() -> Coro<> {
        ThreadPoolExecutor pool({.max_workers = 1});
        EventLoop& loop = get_running_loop();
        EXPECT_EQ(co_await loop.run_in_executor(pool, square, 2), 4);
        const pid_t child = ::fork();
        if (child == 0) {
            int status = 1;
            try {
                pool.submit(asyncio::ExecutorJob(*new asyncio::internal::WorkerJob{
                    nullptr, nullptr, [](asyncio::internal::WorkerJob&) noexcept {}, nullptr,
                    nullptr}));
            } catch (const RuntimeError&) {
                status = 0;
            }
            pool.shutdown();  // returns, though nobody is there to end
            ::_exit(status);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
        EXPECT_EQ(co_await loop.run_in_executor(pool, square, 3), 9);
    });
}

/// Another thread makes and ends pools all the time, and the list of them is long, so that most
/// forks come while that thread holds the lock of the list.
TEST(fork, a_child_uses_threads_though_its_parent_was_making_pools) {
    if (support::under_thread_sanitizer)
        GTEST_SKIP() << "the sanitizer allows no threads in a child of a program with threads";
    std::vector<std::unique_ptr<ThreadPoolExecutor>> many;
    for (int i = 0; i < 5000; ++i) many.push_back(std::make_unique<ThreadPoolExecutor>());
    std::atomic<bool> stop = false;
    std::jthread other([&stop] {
        while (!stop) const ThreadPoolExecutor short_lived;
    });
    for (int i = 0; i < 20; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(20);
            const auto main = []() -> Coro<int> { co_return co_await to_thread(square, 3); };
            ::_exit(asyncio::run(main()) == 9 ? 0 : 1);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
        if (status != 0) break;
    }
    stop = true;
}

}  // namespace
