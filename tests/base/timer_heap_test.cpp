// Goal: the heap of deadlines gives timers in order of deadline, then of arming, whatever is called
// off in between, and its memory follows the living timers.
// Method: small cases by hand; random programs held against a `std::map` as the model.

#include "base/timer_heap_help.h"
#include "support/random.h"

#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::TimePoint;
using asyncio::internal::never;
using support::Random;
using timer_heap_test::at;
using timer_heap_test::Heap;
using timer_heap_test::Item;
using timer_heap_test::none;

std::vector<int> drain(Heap& heap) {
    std::vector<int> order;
    while (heap.earliest() != never) order.push_back(heap.pop(none).number);
    return order;
}

TEST(timer_heap, an_empty_one_has_no_deadline) {
    Heap heap;
    EXPECT_TRUE(heap.empty());
    EXPECT_EQ(heap.earliest(), never);
}

TEST(timer_heap, gives_timers_in_order_of_deadline) {
    Heap heap;
    std::vector<Item> items(5);
    const int deadlines[] = {30, 10, 50, 20, 40};
    for (int i = 0; i < 5; ++i) {
        items[i].number = deadlines[i];
        heap.push(items[i], at(deadlines[i]));
    }
    EXPECT_EQ(drain(heap), (std::vector{10, 20, 30, 40, 50}));
}

TEST(timer_heap, gives_equal_deadlines_in_order_of_arming) {
    Heap heap;
    std::vector<Item> items(100);
    std::vector<int> armed;
    for (int i = 0; i < 100; ++i) {
        items[i].number = i;
        armed.push_back(i);
        heap.push(items[i], at(7));
    }
    EXPECT_EQ(drain(heap), armed);
}

TEST(timer_heap, a_timer_that_was_called_off_never_comes_up) {
    Heap heap;
    std::vector<Item> items(4);
    for (int i = 0; i < 4; ++i) {
        items[i].number = i;
        heap.push(items[i], at(i));
    }
    heap.remove(items[0], none);
    heap.remove(items[2], none);
    EXPECT_EQ(items[0].slot, none);
    EXPECT_EQ(heap.size(), 2u);
    EXPECT_EQ(heap.earliest(), at(1));
    EXPECT_EQ(drain(heap), (std::vector{1, 3}));
    EXPECT_TRUE(heap.empty());
}

TEST(timer_heap, a_timer_can_be_armed_again_after_it_fired_and_after_it_was_called_off) {
    Heap heap;
    Item item;
    for (int round = 0; round < 3; ++round) {
        heap.push(item, at(round));
        EXPECT_EQ(heap.earliest(), at(round));
        EXPECT_EQ(&heap.pop(none), &item);
        EXPECT_EQ(item.slot, none);
        heap.push(item, at(round));
        heap.remove(item, none);
        EXPECT_EQ(heap.earliest(), never);
    }
}

TEST(timer_heap, deadlines_at_both_ends_of_time_are_ordered) {
    Heap heap;
    std::vector<Item> items(3);
    for (int i = 0; i < 3; ++i) items[i].number = i;
    heap.push(items[0], never);
    heap.push(items[1], TimePoint::min());
    heap.push(items[2], at(0));
    EXPECT_EQ(heap.earliest(), TimePoint::min());
    EXPECT_EQ(heap.pop(none).number, 1);
    EXPECT_EQ(heap.earliest(), at(0));
    EXPECT_EQ(heap.pop(none).number, 2);
    EXPECT_FALSE(heap.empty());
    EXPECT_EQ(heap.earliest(), never);
    EXPECT_EQ(heap.pop(none).number, 0);
    EXPECT_TRUE(heap.empty());
}

TEST(timer_heap, what_never_comes_is_called_off_in_any_order_and_taken_out_at_the_end_of_time) {
    Heap heap;
    std::vector<Item> items(6);
    for (int i = 0; i < 6; ++i) {
        items[i].number = i;
        heap.push(items[i], i == 5 ? at(3) : never);
    }
    heap.remove(items[0], none);
    heap.remove(items[4], none);
    heap.remove(items[2], none);
    EXPECT_EQ(items[2].slot, none);
    EXPECT_EQ(heap.size(), 3u);
    std::array<Item*, 2> due;
    EXPECT_EQ(heap.take_due(at(4), none, due), 1u);
    EXPECT_EQ(due[0]->number, 5);
    EXPECT_EQ(heap.take_due(TimePoint::max() - asyncio::Duration(1), none, due), 0u);
    EXPECT_EQ(heap.take_due(never, none, due), 2u);
    EXPECT_EQ(due[0]->number + due[1]->number, 1 + 3);
    EXPECT_EQ(due[0]->slot, none);
    EXPECT_TRUE(heap.empty());
    heap.push(items[1], never);
    heap.remove(items[1], none);
    EXPECT_TRUE(heap.empty());
}

/// The heap beside a model that is obviously right.
class Pair {
public:
    explicit Pair(Random& random) : random_(random) {}

    void push() {
        auto item = std::make_unique<Item>();
        item->number = next_number_++;
        const TimePoint when = at(static_cast<std::int64_t>(random_.below(1000)));
        heap_.push(*item, when);
        model_.emplace(Key(when, item->number), std::move(item));
    }
    void remove() {
        if (model_.empty()) return;
        auto victim = model_.begin();
        std::advance(victim,
                     static_cast<long>(random_.below(std::min<std::size_t>(model_.size(), 40))));
        heap_.remove(*victim->second, none);
        model_.erase(victim);
    }
    void pop() {
        ASSERT_EQ(heap_.earliest(), model_.empty() ? never : model_.begin()->first.first);
        if (model_.empty()) return;
        ASSERT_EQ(heap_.pop(none).number, model_.begin()->first.second);
        model_.erase(model_.begin());
    }
    void compare_sizes() const {
        ASSERT_EQ(heap_.size(), model_.size());
        ASSERT_EQ(heap_.empty(), model_.empty());
    }

private:
    using Key = std::pair<TimePoint, int>;

    Random& random_;
    Heap heap_;
    std::map<Key, std::unique_ptr<Item>> model_;
    int next_number_ = 0;
};

TEST(timer_heap, behaves_as_the_model_under_random_operations) {
    for (std::uint64_t seed = support::seed_or(1); seed < support::seed_or(1) + 20; ++seed) {
        Random random(seed);
        SCOPED_TRACE(random.name());
        Pair pair(random);
        // Each run prefers another mixture, so that heaps grow large in some and stay small in
        // others.
        const std::uint64_t pushes = 1 + random.below(8);
        const std::uint64_t removals = 1 + random.below(8);
        for (int step = 0; step < 5000; ++step) {
            const std::uint64_t choice = random.below(pushes + removals + 2);
            if (choice < pushes) {
                pair.push();
            } else if (choice < pushes + removals) {
                pair.remove();
            } else {
                pair.pop();
            }
            pair.compare_sizes();
            if (testing::Test::HasFatalFailure()) return;
        }
    }
}

TEST(timer_heap, a_million_limits_called_off_leave_the_memory_of_a_few) {
    // The life of a server: a few timers that live long, and limits that come and go beneath them.
    Heap heap;
    std::vector<Item> long_lived(100);
    for (int i = 0; i < 100; ++i) heap.push(long_lived[i], at(1'000'000'000 + i));
    std::uint32_t highest_slot = 0;
    std::vector<Item> limits(10);
    for (int round = 0; round < 100'000; ++round) {
        for (int i = 0; i < 10; ++i) {
            heap.push(limits[i], at(round + i));
            highest_slot = std::max(highest_slot, limits[i].slot);
        }
        for (Item& limit : limits) heap.remove(limit, none);
    }
    EXPECT_EQ(heap.size(), 100u);
    // A slot is in use as long as its entry stands in the heap, so the slots measure the memory.
    EXPECT_LT(highest_slot, 1000u);
}

TEST(timer_heap, timers_called_off_in_the_middle_are_swept_out) {
    Heap heap;
    std::vector<Item> items(100'000);
    for (std::size_t i = 0; i < items.size(); ++i) heap.push(items[i], at(static_cast<int>(i)));
    for (std::size_t i = 0; i + 1 < items.size(); ++i) heap.remove(items[i], none);
    EXPECT_EQ(heap.size(), 1u);
    // The slots of those called off serve again: a new timer does not make the table longer.
    Item late;
    heap.push(late, at(5));
    EXPECT_LT(late.slot, items.size());
    EXPECT_EQ(heap.earliest(), at(5));
}

}  // namespace
