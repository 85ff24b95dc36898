// Goal: a priority queue gives the smallest, and among equals the oldest; a LIFO queue the newest.
// Method: items with a key and a number, put in many orders and compared with the first
// smallest of a list.

#include <asyncio.h>

#include "support/random.h"
#include "sync/sync_help.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::Coro;
using asyncio::create_task;
using asyncio::LifoQueue;
using asyncio::PriorityQueue;
using asyncio::sleep;
using support::run_test;
using sync_help::Trace;
using namespace std::chrono_literals;

struct Job {
    int priority;
    int number;
    bool operator<(const Job& other) const { return priority < other.priority; }
};

TEST(priority_queue, QUE_12_the_smallest_comes_first) {
    PriorityQueue<int> queue;
    for (const int item : {3, 1, 4, 1, 5, 9, 2, 6}) queue.put_nowait(item);
    std::vector<int> order;
    while (auto item = queue.try_get()) order.push_back(*item);
    EXPECT_EQ(order, (std::vector{1, 1, 2, 3, 4, 5, 6, 9}));
}

TEST(priority_queue, QUE_12_among_equals_the_first_comes_first) {
    support::Random random(support::seed_or(12));
    SCOPED_TRACE(random.name());
    PriorityQueue<Job> queue;
    std::vector<Job> expected;
    const auto check_first = [&] {
        const auto first = std::ranges::min_element(expected, {}, &Job::priority);
        const Job job = queue.get_nowait();
        ASSERT_EQ(job.number, first->number);
        expected.erase(first);
    };
    for (int number = 0; number < 500; ++number) {
        const Job job{static_cast<int>(random.below(5)), number};
        queue.put_nowait(job);
        expected.push_back(job);
        if (random.one_in(3)) check_first();
    }
    while (!expected.empty()) check_first();
    EXPECT_TRUE(queue.empty());
}

TEST(priority_queue, QUE_12_another_order_may_be_given) {
    PriorityQueue<int, std::greater<>> queue(3);
    for (const int item : {1, 3, 2}) queue.put_nowait(item);
    EXPECT_THROW(queue.put_nowait(4), asyncio::QueueFull);
    for (const int item : {3, 2, 1}) EXPECT_EQ(queue.get_nowait(), item);
}

TEST(priority_queue, holds_what_can_only_be_moved) {
    const auto less = [](const std::unique_ptr<int>& left, const std::unique_ptr<int>& right) {
        return *left < *right;
    };
    PriorityQueue<std::unique_ptr<int>, decltype(less)> queue;
    for (const int item : {2, 1, 3}) queue.put_nowait(std::make_unique<int>(item));
    for (const int item : {1, 2, 3}) EXPECT_EQ(*queue.get_nowait(), item);
}

TEST(priority_queue, who_waits_gets_the_smallest_of_what_was_put_in_one_iteration) {
    run_test([]() -> Coro<> {
        PriorityQueue<int> queue(1);
        Trace trace;
        const auto put = [&](int item) -> Coro<> { co_await queue.put(item); };
        const auto get_three = [&]() -> Coro<> {
            for (int i = 0; i < 3; ++i) trace.note(std::to_string(co_await queue.get()));
        };
        auto getter = create_task(get_three());
        co_await asyncio::gather(put(3), put(1), put(2));
        co_await getter;
        EXPECT_EQ(trace.text(), "3 1 2") << "one place: the order of arrival decides";
        queue.shutdown();
        EXPECT_THROW(co_await queue.get(), asyncio::QueueShutDown);
    });
}

TEST(lifo_queue, QUE_12_the_newest_comes_first) {
    run_test([]() -> Coro<> {
        LifoQueue<int> queue(3);
        for (const int item : {1, 3, 2}) co_await queue.put(item);
        EXPECT_TRUE(queue.full());
        for (const int item : {2, 3, 1}) EXPECT_EQ(co_await queue.get(), item);
        queue.put_nowait(1);
        queue.shutdown({.immediate = true});
        EXPECT_TRUE(queue.empty());
    });
}

}  // namespace
