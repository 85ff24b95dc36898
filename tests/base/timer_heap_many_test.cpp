// Goal: with thousands of timers, where the heap works by splitting piles, the order is as with
// few. Method: deadlines in orders that are easy and hard to split, taken out all at once, or while
// more arrive; compared with a sort.

#include "base/timer_heap_help.h"
#include "support/random.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::TimePoint;
using asyncio::internal::never;
using timer_heap_test::at;
using timer_heap_test::Heap;
using timer_heap_test::Item;
using timer_heap_test::none;

constexpr int count = 20'000;

std::vector<Item> numbered_items() {
    std::vector<Item> items(count);
    for (int i = 0; i < count; ++i) items[i].number = i;
    return items;
}

/// Arms a timer for each deadline, takes all of them out, and returns the order in which they came.
std::vector<int> order_of(const std::vector<std::int64_t>& deadlines) {
    Heap heap;
    std::vector<Item> items = numbered_items();
    for (int i = 0; i < count; ++i) heap.push(items[i], at(deadlines[i]));
    std::vector<int> order;
    std::array<Item*, 16> due;
    while (const std::size_t taken = heap.take_due(never, none, due)) {
        for (std::size_t i = 0; i < taken; ++i) order.push_back(due[i]->number);
    }
    EXPECT_TRUE(heap.empty());
    return order;
}

std::vector<int> sorted_order_of(const std::vector<std::int64_t>& deadlines) {
    std::vector<int> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, {}, [&](int i) { return std::pair(deadlines[i], i); });
    return order;
}

TEST(timer_heap_many, any_order_of_arming_gives_the_order_of_the_deadlines) {
    support::Random random(support::seed_or(1));
    SCOPED_TRACE(random.name());
    const std::pair<const char*, std::function<std::int64_t(int)>> shapes[] = {
        {"rising", [](int i) { return i; }},
        {"falling", [](int i) { return count - i; }},
        {"all equal", [](int) { return 7; }},
        {"two values", [](int i) { return i % 2; }},
        {"saw", [](int i) { return i % 100; }},
        {"mountain", [](int i) { return std::min(i, count - i); }},
        {"valley", [](int i) { return -std::min(i, count - i); }},
        {"random", [&](int) { return static_cast<std::int64_t>(random.below(1'000'000)); }},
        {"random, few values", [&](int) { return static_cast<std::int64_t>(random.below(10)); }},
    };
    for (const auto& [name, deadline_of] : shapes) {
        SCOPED_TRACE(name);
        std::vector<std::int64_t> deadlines(count);
        for (int i = 0; i < count; ++i) deadlines[i] = deadline_of(i);
        ASSERT_EQ(order_of(deadlines), sorted_order_of(deadlines));
    }
}

TEST(timer_heap_many, what_arrives_while_others_are_taken_out_finds_its_place) {
    support::Random random(support::seed_or(1));
    SCOPED_TRACE(random.name());
    Heap heap;
    std::vector<Item> items = numbered_items();
    std::set<std::pair<std::int64_t, int>> model;
    int armed = 0;
    // Two are armed for each that is taken, at every distance from the one that is next; then the
    // rest is taken.
    std::int64_t now = 0;
    while (armed < count || !model.empty()) {
        for (int i = 0; i < 2 && armed < count; ++i, ++armed) {
            const std::int64_t range = std::int64_t{1} << random.below(30);
            const auto distance = static_cast<std::int64_t>(random.below(range));
            heap.push(items[armed], at(now + distance));
            model.emplace(now + distance, armed);
        }
        ASSERT_EQ(heap.earliest(), at(model.begin()->first));
        now = model.begin()->first;
        ASSERT_EQ(heap.pop(none).number, model.begin()->second);
        model.erase(model.begin());
    }
    EXPECT_EQ(heap.earliest(), never);
}

TEST(timer_heap_many, only_what_is_due_is_taken) {
    Heap heap;
    std::vector<Item> items = numbered_items();
    for (Item& item : items) heap.push(item, at((item.number * 7919) % count));
    heap.remove(items[0], none);  // the first to come

    std::array<Item*, 16> due;
    EXPECT_EQ(heap.take_due(at(0), none, due), 0u);
    EXPECT_EQ(heap.take_due(at(10), none, due), 10u);
    EXPECT_EQ(due[0]->slot, none);
    EXPECT_EQ(heap.take_due(at(10), none, due), 0u);
    EXPECT_EQ(heap.take_due(at(count), none, due), 16u) << "as many as there is room for";
    EXPECT_EQ(heap.earliest(), at(27));
    EXPECT_EQ(heap.size(), static_cast<std::size_t>(count - 27));
}

TEST(timer_heap_many, those_called_off_behind_the_next_to_come_are_passed_over) {
    Heap heap;
    std::vector<Item> items = numbered_items();
    for (Item& item : items) heap.push(item, at(item.number));
    EXPECT_EQ(heap.earliest(), at(0));  // now piles have been split
    for (int i = 0; i < count; ++i) {
        if (i % 3 != 0) heap.remove(items[i], none);
    }
    for (int i = 0; i < count; i += 3) {
        ASSERT_EQ(heap.earliest(), at(i));
        ASSERT_EQ(heap.pop(none).number, i);
    }
    EXPECT_TRUE(heap.empty());
    EXPECT_EQ(heap.earliest(), never);
}

}  // namespace
