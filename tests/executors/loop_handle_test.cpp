// Goal: whatever a thread brings to a loop that closes, or has gone, is run, cancelled or refused;
// the poster learns which, and touches nothing that has gone.
// Method: the wake-up, which is the last step of a post, is made slow by a back-end around the real
// one, so that the loop closes in the middle of posts. The loop is kept awake by a task that never
// rests: so the simulated back-end sees the posts as well.

#include <asyncio/loop_handle.h>
#include <asyncio/sleep.h>
#include <asyncio/task.h>
#include <asyncio/thread_future.h>
#include <asyncio/thread_queue.h>

#include "executors/executors_help.h"
#include "support/run_test.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::EventLoop;
using asyncio::LoopHandle;
using asyncio::run_coroutine_threadsafe;
using asyncio::RuntimeError;
using asyncio::sleep;
using asyncio::ThreadFuture;
using support::LogCapture;
using support::TestLoop;
using namespace std::chrono_literals;

Coro<> never_rests() {
    for (;;) co_await sleep(0s);
}

/// Keeps the loop awake for a while, then stops it. Turns are counted, since virtual time stands
/// still.
Coro<> stop_after_turns(EventLoop& loop) {
    for (int turn = 0; turn < 200; ++turn) co_await sleep(0s);
    loop.stop();
}

Coro<int> answer() {
    co_await sleep(0s);
    co_return 42;
}

/// What `call` throws as a RuntimeError; empty if it throws none.
template <class Call>
std::string refusal_of(Call&& call) {
    try {
        call();
    } catch (const RuntimeError& error) {
        return error.what();
    }
    return "";
}

constexpr const char* closed =
    "the event loop is closed: asyncio::run_coroutine_threadsafe() needs an open event loop";

/// Says when it is destroyed.
std::shared_ptr<void> mark_end(bool& ended) {
    return {nullptr, [&ended](void*) { ended = true; }};
}

TEST(loop_handle, a_callback_runs_on_the_thread_of_the_loop) {
    const LogCapture log;
    TestLoop loop;
    loop->create_task(never_rests());
    const LoopHandle handle(*loop);
    std::optional<std::thread::id> ran_on;
    bool taken = false;
    std::thread other([&, handle] {
        taken = handle.call_soon_threadsafe([&] {
            ran_on = std::this_thread::get_id();
            loop->stop();
        });
    });
    loop->run_forever();
    other.join();
    EXPECT_TRUE(taken);
    EXPECT_EQ(ran_on, std::this_thread::get_id());
    EXPECT_FALSE(handle.is_closed());
}

TEST(loop_handle, of_a_loop_that_has_gone_it_refuses_and_destroys_the_callback) {
    const LogCapture log;
    LoopHandle handle;
    {
        TestLoop loop;
        handle = LoopHandle(*loop);
        loop->close();
        EXPECT_TRUE(handle.is_closed());
        EXPECT_FALSE(handle.call_soon_threadsafe([] { FAIL(); }));
    }
    EXPECT_TRUE(handle.is_closed());
    bool destroyed = false;
    EXPECT_FALSE(handle.call_soon_threadsafe([end = mark_end(destroyed)] { FAIL(); }));
    EXPECT_TRUE(destroyed);
    EXPECT_EQ(refusal_of([&] { run_coroutine_threadsafe(answer(), handle).wait(); }), closed);
}

TEST(loop_handle, of_no_loop_it_refuses) {
    const LoopHandle handle;
    EXPECT_TRUE(handle.is_closed());
    EXPECT_FALSE(handle.call_soon_threadsafe([] { FAIL(); }));
    EXPECT_EQ(refusal_of([&] { run_coroutine_threadsafe(answer(), handle).wait(); }), closed);
}

TEST(loop_handle, a_coroutine_given_through_a_handle_brings_its_result_back) {
    const LogCapture log;
    TestLoop loop;
    loop->create_task(never_rests());
    int got = 0;
    std::thread other([&, handle = LoopHandle(*loop)] {
        got = run_coroutine_threadsafe(answer(), handle).get();
        handle.call_soon_threadsafe([&] { loop->stop(); });
    });
    loop->run_forever();
    other.join();
    EXPECT_EQ(got, 42);
}

TEST(loop_handle, a_loop_stays_until_the_wake_up_of_a_post_is_over) {
    const LogCapture log;
    std::atomic<bool> has_gone = false;
    std::atomic<bool> went_too_early = false;
    std::thread other;
    {
        TestLoop loop;
        loop.probe().before_waking = [&] {
            std::this_thread::sleep_for(50ms);
            went_too_early = has_gone.load();
        };
        loop->create_task(never_rests());
        other = std::thread([&] { loop->call_soon_threadsafe([&] { loop->stop(); }); });
        loop->run_forever();
        loop->close();
        has_gone = true;
    }
    other.join();
    EXPECT_FALSE(went_too_early);
}

TEST(loop_handle, a_wake_up_by_a_thread_queue_keeps_the_loop_as_well) {
    const LogCapture log;
    std::atomic<bool> has_gone = false;
    std::atomic<bool> went_too_early = false;
    asyncio::ThreadQueue<int> queue;
    std::thread other;
    {
        TestLoop loop;
        loop.probe().before_waking = [&] {
            std::this_thread::sleep_for(50ms);
            went_too_early = has_gone.load();
        };
        loop->create_task(never_rests());
        loop->create_task([](auto& source, TestLoop& on) -> Coro<> {
            co_await source.get();
            on->stop();
        }(queue, loop));
        // After the task has begun to wait, so that its wake-up is the thread's.
        loop->call_soon([&] { other = std::thread([&] { queue.put_blocking(1); }); });
        loop->run_forever();
        loop->close();
        has_gone = true;
    }
    other.join();
    EXPECT_FALSE(went_too_early);
}

TEST(loop_handle,
     a_post_in_the_middle_of_the_close_is_refused_or_dropped_and_the_callback_destroyed) {
    const LogCapture log;
    for (int round = 0; round < 20; ++round) {
        TestLoop loop;
        loop.probe().before_waking = [&] { std::this_thread::sleep_for(20us * (round % 5)); };
        std::vector<std::thread> posters;
        std::atomic<int> alive = 0;
        for (int i = 0; i < 2; ++i) {
            posters.emplace_back([&, handle = LoopHandle(*loop)] {
                bool taken = true;
                while (taken) {
                    ++alive;
                    std::shared_ptr<void> counted(nullptr, [&](void*) { --alive; });
                    taken = handle.call_soon_threadsafe([counted] {});
                    counted.reset();
                    // Threads that bring more than the loop can take would make each turn longer.
                    while (taken && alive > 4 && !handle.is_closed()) std::this_thread::yield();
                }
            });
        }
        loop->create_task(stop_after_turns(*loop));
        loop->run_forever();
        loop->close();
        for (std::thread& poster : posters) poster.join();
        EXPECT_EQ(alive, 0) << "in round " << round;
    }
}

TEST(loop_handle, a_coroutine_handed_over_while_the_loop_closes_ends_one_way_or_another) {
    const LogCapture log;
    for (int round = 0; round < 20; ++round) {
        TestLoop loop;
        loop.probe().before_waking = [&] { std::this_thread::sleep_for(20us * (round % 5)); };
        std::vector<std::thread> callers;
        for (int i = 0; i < 2; ++i) {
            callers.emplace_back([&] {
                // A call that never ends would keep the thread, and this test, for ever.
                for (bool open = true; open;) {
                    try {
                        EXPECT_EQ(run_coroutine_threadsafe(answer(), *loop).get(), 42);
                    } catch (const RuntimeError&) {
                        open = false;
                    } catch (const CancelledError&) {
                        // Its task was there when the loop closed.
                    }
                }
            });
        }
        loop->create_task(stop_after_turns(*loop));
        loop->run_forever();
        loop->close();
        // The loop object is there until its callers have learnt that it is closed.
        for (std::thread& caller : callers) caller.join();
    }
}

}  // namespace
