// Goal: items pass between threads and tasks, in order, none lost and none twice, whoever is
// cancelled or runs out of time on the way.
// Method: threads are jobs of the loop's executor. The last tests are storms: many on both sides,
// cancelled and timed out at random, and the sum of what came out is what went in.

#include <asyncio/executor.h>
#include <asyncio/gather.h>
#include <asyncio/run.h>
#include <asyncio/thread_queue.h>
#include <asyncio/timeout.h>

#include "executors/executors_help.h"
#include "support/random.h"
#include "support/run_test.h"
#include "support/tracked.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::CancelledError;
using asyncio::Coro;
using asyncio::create_task;
using asyncio::QueueShutDown;
using asyncio::sleep;
using asyncio::ThreadQueue;
using asyncio::to_thread;
using support::MoveOnly;
using support::run_test;
using threads_test::ends_cancelled;
using namespace std::chrono_literals;

Coro<int> get_from(ThreadQueue<int>& queue) { co_return co_await queue.get(); }
Coro<> put_into(ThreadQueue<int>& queue, int item) { co_await queue.put(item); }

TEST(thread_queue, passes_items_from_a_thread_to_a_task_in_order) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue;
        auto thread = create_task(to_thread([&] {
            for (int i = 0; i < 1000; ++i) queue.put_blocking(i);
        }));
        for (int i = 0; i < 1000; ++i) EXPECT_EQ(co_await queue.get(), i);
        co_await thread;
        EXPECT_TRUE(queue.empty());
    });
}

TEST(thread_queue, passes_items_from_a_task_to_a_thread_and_waits_for_room) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(2);
        std::atomic<std::size_t> most = 0;
        auto thread = create_task(to_thread([&] {
            for (int i = 0; i < 500; ++i) {
                most = std::max<std::size_t>(most, queue.qsize());
                EXPECT_EQ(queue.get_blocking(), i);
            }
        }));
        for (int i = 0; i < 500; ++i) co_await queue.put(i);
        co_await thread;
        EXPECT_LE(most, 2U);
    });
}

TEST(thread_queue, does_not_suspend_where_it_need_not) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        support::Ticks ticks;
        const int before = ticks.count();
        co_await queue.put(1);
        EXPECT_EQ(co_await queue.get(), 1);
        EXPECT_EQ(ticks.count(), before);
    });
}

TEST(thread_queue, looks_without_waiting) {
    ThreadQueue<MoveOnly> queue(1);
    EXPECT_FALSE(queue.try_get().has_value());
    EXPECT_TRUE(queue.try_put(MoveOnly(1)));
    EXPECT_TRUE(queue.full());
    EXPECT_FALSE(queue.try_put(MoveOnly(2)));
    EXPECT_EQ(queue.try_get()->number, 1);
}

TEST(thread_queue, a_thread_waits_no_longer_than_it_wants_to) {
    ThreadQueue<std::string> queue(1);
    EXPECT_FALSE(queue.get_blocking_for(1ms).has_value());
    queue.put_blocking("first");
    std::string second = "second";
    EXPECT_FALSE(queue.put_blocking_for(std::move(second), 1ms));
    EXPECT_EQ(second, "second") << "what was not put in is still there";
    EXPECT_EQ(queue.get_blocking_for(1ms), "first");
    EXPECT_TRUE(queue.empty());
}

TEST(thread_queue, a_time_is_any_duration_and_one_beyond_all_counting_never_passes) {
    using std::chrono::hours;
    ThreadQueue<int> queue(1);
    EXPECT_FALSE(queue.get_blocking_for(0.001s).has_value());
    std::jthread late([&] {
        for (int i = 1; i <= 2; ++i) {
            std::this_thread::sleep_for(1ms);
            queue.put_blocking_for(std::move(i), std::chrono::years(1000));
        }
    });
    EXPECT_EQ(queue.get_blocking_for(hours::max()), 1);
    EXPECT_EQ(queue.get_blocking_for(std::chrono::duration<double>::max()), 2);
}

TEST(thread_queue, a_wait_that_is_over_hides_no_deadlock) {
    const support::LogCapture log;
    const auto body = []() -> Coro<> {
        ThreadQueue<int> queue;
        auto served = create_task(get_from(queue));
        auto cancelled = create_task(get_from(queue));
        co_await sleep(0s);
        co_await queue.put(7);
        EXPECT_EQ(co_await served, 7);
        cancelled.cancel();
        co_await asyncio::gather_settled(cancelled);
        co_await asyncio::get_running_loop().create_future();
    };
    EXPECT_THROW(asyncio::run(body(), {.debug = false,
                                       .backend = asyncio::lowlevel::BackendKind::simulated}),
                 asyncio::DeadlockError);
}

TEST(thread_queue, first_come_first_served) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        std::vector<asyncio::Task<int>> getters;
        for (int i = 0; i < 3; ++i) getters.push_back(create_task(get_from(queue)));
        co_await sleep(0s);
        for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue.try_put(int(i)));
        EXPECT_FALSE(queue.try_get().has_value()) << "they belong to those who wait";
        for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await getters[static_cast<std::size_t>(i)], i);
    });
}

TEST(thread_queue, a_cancelled_getter_takes_nothing) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue;
        auto first = create_task(get_from(queue));
        auto second = create_task(get_from(queue));
        co_await sleep(0s);
        first.cancel();
        queue.try_put(7);
        EXPECT_TRUE(co_await ends_cancelled(first));
        EXPECT_EQ(co_await second, 7);
    });
}

TEST(thread_queue, an_item_handed_over_in_the_moment_of_a_cancellation_is_returned) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue;
        auto getter = create_task(get_from(queue));
        co_await sleep(0s);
        queue.try_put(7);
        getter.cancel();
        EXPECT_EQ(co_await getter, 7);
    });
}

TEST(thread_queue, a_cancelled_putter_puts_nothing) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        co_await queue.put(1);
        auto second = create_task(put_into(queue, 2));
        auto third = create_task(put_into(queue, 3));
        co_await sleep(0s);
        second.cancel();
        EXPECT_TRUE(co_await ends_cancelled(second));
        EXPECT_EQ(co_await queue.get(), 1);
        co_await third;
        EXPECT_EQ(co_await queue.get(), 3);
    });
}

TEST(thread_queue, shutdown_ends_all_waiting_and_leaves_what_is_in_it) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        auto task = create_task(get_from(queue));
        auto thread = create_task(to_thread([&] { queue.get_blocking(); }));
        co_await sleep(5ms);
        queue.shutdown();
        EXPECT_THROW(co_await task, QueueShutDown);
        EXPECT_THROW(co_await thread, QueueShutDown);

        ThreadQueue<int> full(1);
        co_await full.put(1);
        auto putter = create_task(put_into(full, 2));
        co_await sleep(0s);
        full.shutdown();
        EXPECT_THROW(co_await putter, QueueShutDown);
        EXPECT_THROW(co_await full.put(3), QueueShutDown);
        EXPECT_EQ(co_await full.get(), 1);
        EXPECT_THROW(full.try_get(), QueueShutDown);
    });
}

TEST(thread_queue, next_takes_all_there_is_and_tells_the_end_as_a_value) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(2);
        ThreadQueue<int> doubled(2);
        auto thread = create_task(to_thread([&] {
            while (auto item = queue.next_blocking()) doubled.put_blocking(*item * 2);
            doubled.shutdown();
        }));
        auto feeder = create_task([](ThreadQueue<int>& to) -> Coro<> {
            for (int i = 1; i <= 100; ++i) co_await to.put(i);
            to.shutdown();
        }(queue));
        int sum = 0;
        while (auto item = co_await doubled.next()) sum += *item;
        EXPECT_EQ(sum, 100 * 101);
        EXPECT_FALSE((co_await doubled.next()).has_value());
        EXPECT_FALSE(doubled.next_blocking().has_value());
        co_await thread;
        co_await feeder;
    });
}

TEST(thread_queue, may_go_while_tasks_wait_in_it_and_they_wait_until_they_are_cancelled) {
    run_test([]() -> Coro<> {
        auto queue = std::make_unique<ThreadQueue<int>>(1);
        queue->try_put(1);
        auto putter =
            asyncio::create_task([](auto& full) -> Coro<> { co_await full.put(2); }(*queue));
        auto empty = std::make_unique<ThreadQueue<int>>();
        auto getter =
            asyncio::create_task([](auto& from) -> Coro<> { co_await from.get(); }(*empty));
        auto last =
            asyncio::create_task([](auto& from) -> Coro<> { co_await from.next(); }(*empty));
        co_await sleep(1ms);
        queue.reset();
        empty.reset();
        co_await sleep(1ms);
        EXPECT_FALSE(putter.done() || getter.done() || last.done());
        for (auto& task : {putter, getter, last}) {
            task.cancel();
            EXPECT_TRUE(co_await threads_test::ends_cancelled(task));
        }
    });
}

TEST(thread_queue, that_goes_refuses_the_threads_that_wait_in_it) {
    for (int round = 0; round < 20; ++round) {
        auto queue = std::make_unique<ThreadQueue<int>>();
        std::atomic<int> refused = 0;
        std::vector<std::thread> threads;
        const auto refuse = [&](auto wait) {
            threads.emplace_back([&, wait] {
                try {
                    if (wait()) ++refused;
                } catch (const QueueShutDown&) {
                    ++refused;
                }
            });
        };
        ThreadQueue<int>& waited_for = *queue;
        refuse([&] { return waited_for.get_blocking() < 0; });
        refuse([&] { return waited_for.get_blocking_for(1h) == std::nullopt; });
        refuse([&] { return waited_for.next_blocking() == std::nullopt; });
        const auto lines = queue->lines();
        const auto in_line = [&] {
            const std::lock_guard lock(lines->mutex);
            return lines->getters.count();
        };
        while (in_line() < 3) std::this_thread::yield();
        queue.reset();
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(refused, 3);
    }
}

TEST(thread_queue, between_two_loops) {
    ThreadQueue<int> queue(3);
    std::thread other([&] {
        asyncio::run([](ThreadQueue<int>& to) -> Coro<> {
            for (int i = 0; i < 2000; ++i) co_await to.put(i);
        }(queue));
    });
    run_test([&]() -> Coro<> {
        for (int i = 0; i < 2000; ++i) EXPECT_EQ(co_await queue.get(), i);
    });
    other.join();
}

TEST(thread_queue, in_a_storm_of_cancellations_nothing_is_lost_and_nothing_comes_twice) {
    run_test([]() -> Coro<> {
        ThreadQueue<int> queue(2);
        support::Random random(1);
        std::atomic<long> put = 0;
        std::atomic<long> got = 0;
        constexpr int items = 400;
        auto threads = create_task([](ThreadQueue<int>& from, std::atomic<long>& sum_put,
                                      std::atomic<long>& sum_got) -> Coro<> {
            auto puts = [&](int seed) {
                for (int i = 1; i <= items; ++i) {
                    int item = i;
                    if (from.put_blocking_for(std::move(item), (i + seed) % 3 * 10us)) sum_put += i;
                }
            };
            auto gets = [&] {
                for (int i = 0; i < items; ++i) sum_got += from.get_blocking_for(20us).value_or(0);
            };
            co_await asyncio::gather(to_thread(puts, 0), to_thread(puts, 1), to_thread(gets));
        }(queue, put, got));
        while (!threads.done()) {
            // A getter and a putter, one of them cancelled at some point.
            auto getter = create_task(get_from(queue));
            auto putter = create_task(put_into(queue, 1));
            for (std::size_t turn = random.below(4); turn > 0; --turn) co_await sleep(0s);
            getter.cancel();
            const auto item = co_await asyncio::internal::settle(std::move(getter));
            if (item.has_value()) got += item.value();
            putter.cancel();
            if (!co_await ends_cancelled(putter)) ++put;
        }
        while (auto item = queue.try_get()) got += *item;
        EXPECT_EQ(put, got);
        EXPECT_GT(put, 0);
    });
}

}  // namespace
