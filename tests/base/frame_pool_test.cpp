// Goal: the frame pool gives out memory that nobody else has, takes it back on any thread, and does
// not grow when what is freed here was made there.
// Method: blocks are filled with a pattern and checked before they go back. What a program needs is
// counted in distinct addresses, which no load on the machine changes. Where frames are plain
// (under sanitizers), there is no pool to be tested.

#include <asyncio/internal/base/frame_pool.h>

#include "base/frame_stock.h"
#include "support/random.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using asyncio::internal::allocate_frame;
using asyncio::internal::Chunk;
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

class pooled_frames : public testing::Test {
protected:
    void SetUp() override {
        if (asyncio::internal::frames_are_plain()) GTEST_SKIP() << "frames are plain here";
    }
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

TEST_F(pooled_frames, a_freed_block_is_the_next_of_its_size_given_out) {
    void* first = allocate_frame(100);
    free_frame(first, 100);
    EXPECT_EQ(allocate_frame(97), first) << "100 and 97 bytes are the same number of granules";
    void* larger = allocate_frame(100 + frame_granule_bytes);
    EXPECT_NE(larger, first);
    free_frame(first, 97);
    free_frame(larger, 100 + frame_granule_bytes);
}

TEST_F(pooled_frames, what_an_ended_thread_had_serves_the_threads_after_it) {
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

TEST_F(pooled_frames, what_a_thread_only_frees_serves_the_threads_after_it) {
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

TEST_F(pooled_frames, what_a_thread_only_takes_serves_the_threads_after_it) {
    // Each thread finds blocks of an earlier one in the depot, and makes none.
    constexpr std::size_t size = 1792;
    std::set<void*> addresses;
    for (int round = 0; round < 2000; ++round) {
        std::thread([&] {
            void* block = allocate_frame(size);
            addresses.insert(block);
            free_frame(block, size);
        }).join();
    }
    EXPECT_LT(addresses.size(), 100u);
}

TEST_F(pooled_frames, what_came_back_in_any_order_is_given_out_in_that_of_the_memory) {
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

TEST_F(pooled_frames, memory_stays_bounded_when_one_thread_makes_what_another_frees) {
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

/// The stretches of memory in which blocks have lain.
struct Extent {
    std::set<std::uintptr_t> chunks;

    void add(const void* block) {
        chunks.insert(reinterpret_cast<std::uintptr_t>(block) / Chunk::size_bytes);
    }
    std::size_t bytes() const { return chunks.size() * Chunk::size_bytes; }
};

void live_and_die(std::size_t count, std::size_t size, Extent& extent) {
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < count; ++i) blocks.push_back(allocate_frame(size));
    for (void* block : blocks) {
        extent.add(block);
        free_frame(block, size);
    }
}

TEST_F(pooled_frames, phases_with_frames_of_other_sizes_use_the_same_memory) {
    constexpr std::size_t count = 20'000;
    Extent extent;
    for (const std::size_t size : {336, 544, 736, 944, 1136}) live_and_die(count, size, extent);
    const std::size_t largest_phase_bytes = count * 1136;
    EXPECT_LT(extent.bytes(), largest_phase_bytes * 3 / 2);
    EXPECT_GT(extent.bytes(), largest_phase_bytes) << "else it is not measured right";
}

TEST_F(pooled_frames, phases_of_small_frames_in_any_order_use_the_same_memory) {
    constexpr std::size_t count = 100'000;
    support::Random random(support::seed_or(1));
    SCOPED_TRACE(random.name());
    Extent extent;
    for (const std::size_t size : {240, 48, 208, 80, 176, 112, 144, 224}) {
        std::vector<void*> blocks;
        for (std::size_t i = 0; i < count; ++i) blocks.push_back(allocate_frame(size));
        for (std::size_t i = count; i > 1; --i) std::swap(blocks[i - 1], blocks[random.below(i)]);
        for (void* block : blocks) {
            extent.add(block);
            free_frame(block, size);
        }
    }
    EXPECT_LT(extent.bytes(), count * 240 * 3 / 2);
}

TEST_F(pooled_frames, phases_on_threads_of_their_own_use_the_same_memory) {
    constexpr std::size_t count = 20'000;
    Extent extent;
    for (const std::size_t size : {1248, 352, 560, 752, 960}) {
        std::thread([&] { live_and_die(count, size, extent); }).join();
    }
    EXPECT_LT(extent.bytes(), count * 1248 * 3 / 2);
}

TEST_F(pooled_frames, a_chunk_with_one_living_block_is_not_cut_again) {
    constexpr std::size_t size = 768;
    constexpr std::size_t other_size = 1792;
    const std::size_t count = 20 * asyncio::internal::blocks_of_chunk(size / frame_granule_bytes);
    std::vector<Block> living;
    std::vector<void*> dying;
    for (std::size_t i = 0; i < count; ++i) {
        if (i % 61 == 0) {
            living.push_back(Block::make(size, static_cast<unsigned char>(i)));
        } else {
            dying.push_back(allocate_frame(size));
        }
    }
    for (void* block : dying) free_frame(block, size);
    std::vector<Block> others;
    for (int i = 0; i < 20'000; ++i) others.push_back(Block::make(other_size, 0xee));
    for (const Block& block : living) {
        EXPECT_TRUE(block.intact());
        block.free();
    }
    for (const Block& block : others) block.free();
}

TEST(frame_pool, a_forked_child_does_not_find_the_depot_locked) {
    std::atomic<bool> stop{false};
    std::thread locker([&] {
        while (!stop) {
            const std::lock_guard lock(asyncio::internal::depot().mutex);
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    });
    for (int i = 0; i < 40; ++i) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(asyncio::internal::depot().mutex.try_lock() ? 0 : 1);
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << "in round " << i;
    }
    stop = true;
    locker.join();
}

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
