// Goal: the frame pool gives out memory that nobody else has, takes it back on any thread, and does
// not grow when what is freed here was made there.
// Method: blocks are filled with a pattern and checked before they go back. Under
// AddressSanitizer the pool is switched off, and what is tested is that nothing depends on it.

#include <asyncio/internal/frame_pool.h>

#include "support/random.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using asyncio::internal::allocate_frame;
using asyncio::internal::frame_granule_bytes;
using asyncio::internal::free_frame;
using asyncio::internal::largest_pooled_frame_bytes;

struct Block {
    unsigned char* memory = nullptr;
    std::size_t size = 0;
    unsigned char pattern = 0;

    static Block make(std::size_t size, unsigned char pattern) {
        auto* memory = static_cast<unsigned char*>(allocate_frame(size));
        std::memset(memory, pattern, size);
        return {memory, size, pattern};
    }
    bool intact() const {
        return std::all_of(memory, memory + size,
                           [&](unsigned char byte) { return byte == pattern; });
    }
    void free() const { free_frame(memory, size); }
};

TEST(frame_pool, gives_aligned_memory_of_every_size) {
    for (std::size_t size = 1; size <= 2 * largest_pooled_frame_bytes; size += 7) {
        const Block block = Block::make(size, 0xa5);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.memory) % alignof(std::max_align_t), 0u);
        EXPECT_TRUE(block.intact());
        block.free();
    }
}

TEST(frame_pool, living_blocks_never_overlap) {
    support::Random random(support::seed_or(1));
    SCOPED_TRACE(random.name());
    std::vector<Block> living;
    for (int step = 0; step < 20'000; ++step) {
        if (living.size() < 200 && !random.one_in(3)) {
            living.push_back(Block::make(1 + random.below(3000), static_cast<unsigned char>(step)));
        } else if (!living.empty()) {
            std::swap(living[random.below(living.size())], living.back());
            ASSERT_TRUE(living.back().intact()) << "in step " << step;
            living.back().free();
            living.pop_back();
        }
    }
    for (const Block& block : living) {
        EXPECT_TRUE(block.intact());
        block.free();
    }
}

#ifndef ASYNCIO_INTERNAL_PLAIN_FRAMES

TEST(frame_pool, a_freed_block_is_the_next_of_its_size_given_out) {
    void* first = allocate_frame(100);
    free_frame(first, 100);
    EXPECT_EQ(allocate_frame(97), first) << "100 and 97 bytes are the same number of granules";
    void* larger = allocate_frame(100 + frame_granule_bytes);
    EXPECT_NE(larger, first);
    free_frame(first, 97);
    free_frame(larger, 100 + frame_granule_bytes);
}

TEST(frame_pool, what_an_ended_thread_had_serves_the_threads_after_it) {
    // Each thread takes more than a slab and returns it; a hundred of them need the memory of one.
    constexpr std::size_t size = 1024;
    constexpr std::size_t count = 512;
    std::set<void*> addresses;
    for (int round = 0; round < 100; ++round) {
        std::thread([&] {
            std::vector<void*> blocks;
            for (std::size_t i = 0; i < count; ++i) blocks.push_back(allocate_frame(size));
            for (void* block : blocks) free_frame(block, size);
            addresses.insert(blocks.begin(), blocks.end());
        }).join();
    }
    EXPECT_LT(addresses.size(), 4 * count);
}

TEST(frame_pool, what_a_thread_only_frees_serves_the_threads_after_it) {
    // The short-lived thread makes no frame of its own; it runs what was made for it.
    constexpr std::size_t size = 1536;
    std::set<void*> addresses;
    for (int round = 0; round < 2000; ++round) {
        void* block = allocate_frame(size);
        addresses.insert(block);
        std::thread([block] { free_frame(block, size); }).join();
    }
    EXPECT_LT(addresses.size(), 1000u);
}

TEST(frame_pool, what_came_back_in_any_order_is_given_out_in_that_of_the_memory) {
    // As after a million sleeps of random length: whoever then makes a million tasks is to walk
    // through memory, not to jump about in it.
    constexpr std::size_t size = 272;
    constexpr std::size_t count = 100'000;
    support::Random random(support::seed_or(1));
    SCOPED_TRACE(random.name());
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(allocate_frame(size));
    for (std::size_t i = count; i > 1; --i) std::swap(blocks[i - 1], blocks[random.below(i)]);
    for (void* block : blocks) free_frame(block, size);

    std::size_t steps_forward = 0;
    void* before = nullptr;
    for (void*& block : blocks) {
        block = allocate_frame(size);
        steps_forward += std::greater<>()(block, before);
        before = block;
    }
    EXPECT_GT(steps_forward, count * 9 / 10) << "of a list or two that were at hand, none need be";
    EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()).size(), count);
    for (void* block : blocks) free_frame(block, size);
}

TEST(frame_pool, memory_stays_bounded_when_one_thread_makes_what_another_frees) {
    // Coroutines made on one thread and run on another: a pool whose free lists never meet would
    // take a new slab for every 256 KiB that pass.
    constexpr std::size_t size = 256;
    constexpr std::size_t batch = 256;
    constexpr int batches = 400;
    std::vector<void*> passed;
    std::atomic<int> turn{0};
    std::set<void*> addresses;
    std::thread consumer([&] {
        for (int i = 0; i < batches; ++i) {
            while (turn.load() != 2 * i + 1) std::this_thread::yield();
            for (void* block : passed) free_frame(block, size);
            passed.clear();
            turn.store(2 * i + 2);
        }
    });
    for (int i = 0; i < batches; ++i) {
        while (turn.load() != 2 * i) std::this_thread::yield();
        for (std::size_t j = 0; j < batch; ++j) passed.push_back(allocate_frame(size));
        addresses.insert(passed.begin(), passed.end());
        turn.store(2 * i + 1);
    }
    consumer.join();
    // 400 batches pass; that a few dozen are on the way or in lists is in order.
    EXPECT_LT(addresses.size(), batch * 64);
}

#endif

TEST(frame_pool, blocks_pass_between_threads_in_all_directions) {
    constexpr int threads = 4;
    constexpr std::size_t size = 128;
    // Slots the threads exchange blocks through: put mine in, take whose it was before.
    std::atomic<unsigned char*> slots[16] = {};
    std::vector<std::thread> running;
    for (int id = 0; id < threads; ++id) {
        running.emplace_back([&, id] {
            support::Random random(support::seed_or(1) + static_cast<std::uint64_t>(id));
            for (int step = 0; step < 20'000; ++step) {
                Block mine = Block::make(size, static_cast<unsigned char>(id * 64 + step % 64));
                unsigned char* theirs = slots[random.below(16)].exchange(mine.memory);
                if (theirs == nullptr) continue;
                const Block other{theirs, size, theirs[0]};
                if (!other.intact()) ADD_FAILURE() << "a block was given out twice";
                other.free();
            }
        });
    }
    for (std::thread& thread : running) thread.join();
    for (auto& slot : slots) {
        if (unsigned char* left = slot.load()) free_frame(left, size);
    }
}

}  // namespace
