// Goal: a timer that cannot be armed for lack of memory is not in the heap, and all others come in
// their order.
// Method: the heap's memory is refused by a seeded plan; what was armed is compared with what
// comes. The heap alone asks for memory with an alignment.

#include "base/timer_heap.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

/// How many allocations succeed before one fails; negative: all succeed.
int allocations_left = -1;

}  // namespace

void* operator new(std::size_t bytes, std::align_val_t alignment) {
    if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
    void* memory = nullptr;
    if (::posix_memalign(&memory, static_cast<std::size_t>(alignment), bytes) != 0)
        throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using asyncio::TimePoint;
using std::chrono::seconds;

struct Second {
    std::uint32_t slot = none;
    int second = 0;
    static constexpr std::uint32_t none = ~0U;
};

using HeapOfSeconds = asyncio::internal::BasicTimerHeap<Second>;

/// Takes out everything, in the heap's order.
std::vector<int> drain(HeapOfSeconds& heap) {
    std::vector<int> seconds_taken;
    std::array<Second*, 16> due{};
    while (const std::size_t count = heap.take_due(TimePoint(seconds(1 << 30)), Second::none, due))
        for (std::size_t i = 0; i < count; ++i) seconds_taken.push_back(due[i]->second);
    return seconds_taken;
}

TEST(timer_heap_memory, what_could_not_be_armed_is_not_in_the_heap) {
    int refused = 0;
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        HeapOfSeconds heap;
        std::mt19937 random(seed);
        std::vector<std::unique_ptr<Second>> armed;
        std::vector<int> expected;
        for (int i = 0; i < 1000; ++i) {
            auto item = std::make_unique<Second>();
            item->second = static_cast<int>(random() % 100'000);
            allocations_left = random() % 2 == 0 ? static_cast<int>(random() % 3) : -1;
            try {
                heap.push(*item, TimePoint(seconds(item->second)));
                expected.push_back(item->second);
                armed.push_back(std::move(item));
            } catch (const std::bad_alloc&) {
                EXPECT_EQ(item->slot, Second::none);
                ++refused;
            }
            if (i % 5 == 0) heap.earliest();
            allocations_left = -1;
            EXPECT_EQ(heap.size(), armed.size());
        }
        std::ranges::sort(expected);
        EXPECT_EQ(drain(heap), expected) << "seed " << seed;
    }
    EXPECT_GT(refused, 0);
}

TEST(timer_heap_memory, one_whose_split_fails_still_gives_all_in_order) {
    HeapOfSeconds heap;
    std::vector<std::unique_ptr<Second>> items;
    std::vector<int> expected;
    const auto push = [&](int second) {
        items.push_back(std::make_unique<Second>());
        items.back()->second = second;
        heap.push(*items.back(), TimePoint(seconds(second)));
        expected.push_back(second);
    };
    push(100'000);
    heap.earliest();
    for (int i = 0; i < 500; ++i) {
        push(50'000 - i * 7 % 1000);
        // A second refusal in the same push finds nothing left to refuse.
        allocations_left = i % 3 == 0 ? 0 : -1;
        try {
            push(40'000 - i);
        } catch (const std::bad_alloc&) {
            items.pop_back();
        }
        allocations_left = -1;
    }
    std::ranges::sort(expected);
    EXPECT_EQ(drain(heap), expected);
}

}  // namespace
