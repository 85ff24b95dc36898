// Goal: the seed decides everything the contract leaves open, and nothing else decides anything.
// Method: the same program under the same seed twice, and under many seeds once; then each choice
// by itself, seen both ways over a hundred seeds, and never in the plain world.

#include "simulation/storm.h"

#include <algorithm>
#include <climits>
#include <numeric>
#include <set>

namespace simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t plan_seeds = 100;

TEST(Plan, the_same_seed_gives_the_same_run_to_the_last_tick) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Storm first(seed, 1, {.operations = 400});
        Storm second(seed, 1, {.operations = 400}, Storm::Layout::downwards);
        first.run();
        second.run();
        ASSERT_GT(first.finished_in_submit + first.reported, 100);
        ASSERT_EQ(first.trace(), second.trace()) << "seed " << seed;
        ASSERT_EQ(first.order(), second.order()) << "seed " << seed;
    }
}

TEST(Plan, different_seeds_give_different_runs) {
    std::set<std::uint64_t> traces;
    std::set<std::vector<int>> orders;
    for (std::uint64_t seed = 0; seed < plan_seeds; ++seed) {
        Storm storm(seed, 1, {.operations = 400});
        storm.run();
        traces.insert(storm.trace());
        orders.insert(storm.order());
    }
    EXPECT_EQ(traces.size(), plan_seeds);
    EXPECT_EQ(orders.size(), plan_seeds);
}

/// Twenty readers of twenty pipes, all served in one step: the order in which they are reported.
std::vector<int> order_of_finishing_together(std::uint64_t seed) {
    constexpr int count = 20;
    World world(seed);
    std::vector<char> bytes(count);
    std::vector<Pipe> pipes;
    std::vector<std::unique_ptr<Read>> reads;
    for (int i = 0; i < count; ++i) {
        pipes.push_back(world.pipe());
        reads.push_back(std::make_unique<Read>(pipes.back().read_end, &bytes[i], 1));
        EXPECT_FALSE(world.submit(*reads.back()));
    }
    std::vector<int> order;
    std::vector<std::unique_ptr<Write>> writes;
    for (const Pipe& pipe : pipes) {
        writes.push_back(std::make_unique<Write>(pipe.write_end, "x", 1));
        world.submit(*writes.back());
    }
    while (order.size() < count) {
        for (Operation* operation : world.wait(never)) {
            for (int i = 0; i < count; ++i) {
                if (operation == reads[i].get()) order.push_back(i);
            }
        }
        if (world.deadlocked()) break;
    }
    return order;
}

TEST(Plan, what_finishes_together_is_reported_in_any_order) {
    std::vector<int> in_order(20);
    std::iota(in_order.begin(), in_order.end(), 0);
    std::set<std::vector<int>> orders;
    for (std::uint64_t seed = 1; seed <= plan_seeds; ++seed) {
        std::vector<int> order = order_of_finishing_together(seed);
        orders.insert(order);
        std::sort(order.begin(), order.end());
        ASSERT_EQ(order, in_order) << "seed " << seed;
    }
    EXPECT_EQ(orders.size(), plan_seeds);
    EXPECT_EQ(orders.count(in_order), 0u);
}

TEST(Plan, the_plain_world_reports_in_the_order_of_finishing) {
    std::vector<int> in_order(20);
    std::iota(in_order.begin(), in_order.end(), 0);
    EXPECT_EQ(order_of_finishing_together(0), in_order);
}

/// When a write that could finish at once does.
enum class When { in_submit, in_the_next_wait, later };

When when_a_write_finishes(std::uint64_t seed) {
    World world(seed);
    const Pipe pipe = world.pipe();
    const TimePoint before = world->now();
    Write write(pipe.write_end, "x", 1);
    if (world.submit(write)) return When::in_submit;
    EXPECT_EQ(world.finish(write), 1);
    const Duration delay = world->now() - before;
    EXPECT_LE(delay, 100us) << "delays stay far below the limits programs set";
    return delay == Duration::zero() ? When::in_the_next_wait : When::later;
}

TEST(Plan, what_could_finish_now_finishes_in_submit_or_in_the_next_wait_or_later) {
    std::multiset<When> seen;
    for (std::uint64_t seed = 1; seed <= plan_seeds; ++seed)
        seen.insert(when_a_write_finishes(seed));
    EXPECT_GT(seen.count(When::in_submit), 10u);
    EXPECT_GT(seen.count(When::in_the_next_wait), 10u);
    EXPECT_GT(seen.count(When::later), 10u);
    EXPECT_EQ(when_a_write_finishes(0), When::in_submit);
}

TEST(Plan, reads_and_big_writes_may_be_short_but_never_empty) {
    std::set<int> written;
    std::set<std::size_t> read;
    for (std::uint64_t seed = 1; seed <= plan_seeds; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        written.insert(world.write(pipe.write_end, std::string(20'000, 'x')));
        read.insert(world.read(pipe.read_end, 20'000).size());
    }
    EXPECT_GT(written.size(), 20u);
    EXPECT_GT(read.size(), 20u);
    EXPECT_GE(*written.begin(), 1);
    EXPECT_GE(*read.begin(), 1u);
}

TEST(Plan, a_write_of_pipe_buf_bytes_is_never_short) {
    for (std::uint64_t seed = 0; seed < plan_seeds; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        for (int i = 0; i < 16; ++i) {
            ASSERT_EQ(world.write(pipe.write_end, std::string(PIPE_BUF, 'x')), PIPE_BUF);
        }
    }
}

TEST(Plan, the_plain_world_moves_all_it_can) {
    World world;
    const Pipe pipe = world.pipe();
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(world.write(pipe.write_end, std::string(65536, 'x')), 65536);
        ASSERT_EQ(world.read(pipe.read_end, 65536).size(), 65536u);
    }
}

/// How many of a hundred waits with a deadline end before it, with nothing to report.
int early_waits(std::uint64_t seed) {
    World world(seed);
    int early = 0;
    for (int i = 0; i < 100; ++i) {
        const TimePoint deadline = world->now() + 1s;
        EXPECT_TRUE(world.wait(deadline).empty());
        if (world->now() < deadline) ++early;
    }
    return early;
}

TEST(Plan, a_wait_may_end_early_but_not_always) {
    std::vector<int> early;
    for (std::uint64_t seed = 1; seed <= plan_seeds; ++seed) early.push_back(early_waits(seed));
    EXPECT_GT(*std::max_element(early.begin(), early.end()), 10);
    EXPECT_LT(*std::max_element(early.begin(), early.end()), 60);
    EXPECT_EQ(*std::min_element(early.begin(), early.end()), 0) << "some worlds never do";
    EXPECT_EQ(early_waits(0), 0);
}

}  // namespace
}  // namespace simulation
