// Goal: other threads can hand callbacks to a loop without losing any, wake it, and take them back.
// Method: real threads, real back-ends; run under ThreadSanitizer as well. The simulated world
// cannot see other threads, so there a descriptor in flight is what makes it wait for them; the
// tests that need a sleeping loop run on the real back-ends.

#include <asyncio/event_loop.h>
#include <asyncio/internal/loop/loop_gate.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>

#include "support/run_test.h"

#include <atomic>
#include <chrono>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Handle;
using support::LogCapture;
using support::TestLoop;
using namespace std::chrono_literals;

/// On the simulated back-end keeps the loop from calling its wait a deadlock.
void keep_alive(TestLoop& loop) {
    loop->call_later(24h, [] {});
}

#define REQUIRE_REAL_TIME(loop) \
    if ((loop).simulated()) GTEST_SKIP() << "the simulated world does not wait for other threads"

TEST(threadsafe, THR_01_a_sleeping_loop_wakes_at_once) {
    const LogCapture log;
    TestLoop loop;
    REQUIRE_REAL_TIME(loop);
    keep_alive(loop);
    std::binary_semaphore running(0);
    loop->call_soon([&] { running.release(); });
    std::thread other([&] {
        running.acquire();
        loop->call_soon_threadsafe([&] { loop->stop(); });
    });
    loop->run_forever();
    other.join();
}

TEST(threadsafe, THR_01_a_burst_from_many_threads_loses_nothing_and_keeps_each_threads_order) {
    const LogCapture log;
    TestLoop loop;
    REQUIRE_REAL_TIME(loop);
    keep_alive(loop);
    constexpr int threads = 4;
    constexpr int each = 5000;
    std::vector<int> last(threads, -1);
    int received = 0;
    std::vector<std::thread> senders;
    for (int id = 0; id < threads; ++id) {
        senders.emplace_back([&, id] {
            for (int number = 0; number < each; ++number) {
                loop->call_soon_threadsafe([&, id, number] {
                    EXPECT_EQ(last[id] + 1, number);
                    last[id] = number;
                    if (++received == threads * each) loop->stop();
                });
                if (number % 64 == 0) std::this_thread::yield();
            }
        });
    }
    loop->run_forever();
    for (std::thread& sender : senders) sender.join();
    EXPECT_EQ(received, threads * each);
}

TEST(threadsafe, THR_01_the_loop_is_woken_again_and_again) {
    // One callback at a time, each sent when the one before has run: every one finds the loop
    // asleep or about to fall asleep, which is where a wake-up could be lost.
    const LogCapture log;
    TestLoop loop;
    REQUIRE_REAL_TIME(loop);
    keep_alive(loop);
    constexpr int rounds = 3000;
    std::atomic<int> seen{0};
    std::thread other([&] {
        for (int round = 1; round <= rounds; ++round) {
            loop->call_soon_threadsafe([&, round] { seen.store(round); });
            while (seen.load() != round) std::this_thread::yield();
        }
        loop->call_soon_threadsafe([&] { loop->stop(); });
    });
    loop->run_forever();
    other.join();
    EXPECT_EQ(seen.load(), rounds);
}

TEST(threadsafe, THR_03_from_the_loops_own_thread_it_has_its_ordinary_place) {
    const LogCapture log;
    TestLoop loop;
    std::string trace;
    loop->call_soon([&] {
        loop->call_soon([&] { trace += 'a'; });
        loop->call_soon_threadsafe([&] { trace += 'b'; });
        loop->call_soon([&] { trace += 'c'; });
    });
    loop.run_until_idle();
    EXPECT_EQ(trace, "abc");
}

TEST(threadsafe, callbacks_given_before_the_loop_runs_run_when_it_does) {
    const LogCapture log;
    TestLoop loop;
    std::atomic<int> runs{0};
    std::thread([&] {
        for (int i = 0; i < 10; ++i) loop->call_soon_threadsafe([&] { ++runs; });
    }).join();
    loop.run_until_idle();
    EXPECT_EQ(runs.load(), 10);
}

TEST(threadsafe, THR_04_one_that_another_thread_cancels_in_time_never_runs) {
    const LogCapture log;
    TestLoop loop;
    bool ran = false;
    std::thread([&] {
        Handle handle = loop->call_soon_threadsafe([&] { ran = true; });
        handle.cancel();
        EXPECT_TRUE(handle.cancelled());
    }).join();
    loop.run_until_idle();
    EXPECT_FALSE(ran);
}

TEST(threadsafe, THR_04_a_race_of_cancel_and_run_has_exactly_one_winner) {
    const LogCapture log;
    TestLoop loop;
    REQUIRE_REAL_TIME(loop);
    keep_alive(loop);
    constexpr int rounds = 5000;
    std::vector<std::atomic<int>> runs(rounds);
    std::vector<bool> cancelled(rounds);
    std::thread other([&] {
        for (int round = 0; round < rounds; ++round) {
            auto token = std::make_shared<int>(round);
            std::weak_ptr<int> observer = token;
            Handle handle =
                loop->call_soon_threadsafe([&runs, token = std::move(token)] { ++runs[*token]; });
            if (round % 3 == 0) std::this_thread::yield();
            handle.cancel();
            cancelled[round] = handle.cancelled();
            EXPECT_TRUE(!cancelled[round] || observer.expired()) << "captures go with the cancel";
        }
        loop->call_soon_threadsafe([&] { loop->stop(); });
    });
    loop->run_forever();
    other.join();
    for (int round = 0; round < rounds; ++round) {
        ASSERT_EQ(runs[round].load(), cancelled[round] ? 0 : 1) << "round " << round;
    }
}

TEST(threadsafe, THR_05_cancel_from_another_thread_waits_for_a_callback_that_runs) {
    const LogCapture log;
    TestLoop loop;
    REQUIRE_REAL_TIME(loop);
    keep_alive(loop);
    constexpr int rounds = 50;
    std::thread other([&] {
        for (int round = 0; round < rounds; ++round) {
            std::binary_semaphore started(0);
            // What the callback uses dies with this frame, so it must have ended when cancel
            // returns.
            std::atomic<bool> finished{false};
            Handle handle = loop->call_soon_threadsafe([&] {
                started.release();
                std::this_thread::sleep_for(200us);
                finished = true;
            });
            started.acquire();
            handle.cancel();
            EXPECT_TRUE(finished.load());
            EXPECT_FALSE(handle.cancelled());
        }
        loop->call_soon_threadsafe([&] { loop->stop(); });
    });
    loop->run_forever();
    other.join();
}

TEST(threadsafe, a_task_sleeps_on_while_other_threads_interrupt_the_wait) {
    const LogCapture log;
    TestLoop loop;
    REQUIRE_REAL_TIME(loop);
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop) {
            loop->call_soon_threadsafe([] {});
            std::this_thread::sleep_for(100us);
        }
    });
    const asyncio::TimePoint start = loop->time();
    loop->run_until_complete(asyncio::sleep(10ms));
    EXPECT_GE(loop->time() - start, 10ms);
    stop = true;
    other.join();
}

TEST(threadsafe, a_callback_that_comes_after_the_gate_has_been_shut_is_refused) {
    const LogCapture log;
    TestLoop loop;
    // A closing loop does this before it says that it is closed. A thread may call in between.
    loop->gate()->shut();
    ASSERT_FALSE(loop->is_closed());
    bool called = false;
    std::thread other([&] {
        EXPECT_THROW(loop->call_soon_threadsafe([&] { called = true; }), asyncio::RuntimeError);
    });
    other.join();
    loop->close();
    EXPECT_FALSE(called);
}

TEST(threadsafe, what_arrives_while_the_loop_closes_is_released) {
    const LogCapture log;
    for (int round = 0; round < 50; ++round) {
        auto token = std::make_shared<int>(0);
        std::atomic<bool> go{false};
        {
            TestLoop loop;
            std::thread other([&] {
                while (!go) std::this_thread::yield();
                try {
                    for (int i = 0; i < 200; ++i) loop->call_soon_threadsafe([token] {});
                } catch (const asyncio::RuntimeError&) {
                    // The loop was closed first.
                }
            });
            go = true;
            loop->close();
            other.join();
        }
        EXPECT_EQ(token.use_count(), 1);
    }
}

}  // namespace
