// Goal: virtual time is exact, free of charge, and moves only when everybody waits. Method: waits
// with known deadlines in a world in which nothing happens, or only what the test does.

#include "simulation/world.h"

#include <chrono>
#include <thread>

#include <poll.h>

namespace simulation {
namespace {

using namespace std::chrono_literals;

TEST(Clock, every_world_begins_one_second_after_the_zero_of_time) {
    EXPECT_EQ(World(0)->now(), TimePoint{} + 1s);
    EXPECT_EQ(World(7)->now(), TimePoint{} + 1s);
}

TEST(Clock, waiting_ten_years_takes_no_time) {
    World world;
    const TimePoint deadline = world->now() + 24h * 365 * 10;
    const auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(world.wait(deadline).empty());
    EXPECT_EQ(world->now(), deadline);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 1h);
}

TEST(Clock, stands_still_between_waits) {
    World world;
    const Pipe pipe = world.pipe();
    const TimePoint before = world->now();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(world.write(pipe.write_end, "x"), 1);
    EXPECT_EQ(world.read(pipe.read_end, 1000), std::string(100, 'x'));
    EXPECT_EQ(world->now(), before);
}

TEST(Clock, a_look_does_not_move_it) {
    World world;
    const TimePoint before = world->now();
    world.look();
    world.wait(before);
    EXPECT_EQ(world->now(), before);
    EXPECT_FALSE(world.deadlocked());
}

TEST(Clock, a_deadline_in_the_past_does_not_turn_it_back) {
    World world;
    world.wait(world->now() + 5s);
    const TimePoint later = world->now();
    world.wait(later - 3s);
    EXPECT_EQ(world->now(), later);
}

TEST(Clock, a_wait_in_which_something_finished_does_not_move_it) {
    World world;
    const Pipe pipe = world.pipe();
    char byte = 0;
    Read read(pipe.read_end, &byte, 1);
    ASSERT_FALSE(world.submit(read));
    const TimePoint before = world->now();
    world.write(pipe.write_end, "x");
    EXPECT_EQ(world.wait(before + 1h), std::vector<Operation*>{&read});
    EXPECT_EQ(world->now(), before);
}

TEST(Clock, a_waiting_operation_does_not_keep_it_from_the_deadline) {
    World world;
    char byte = 0;
    Read read(world.pipe().read_end, &byte, 1);
    ASSERT_FALSE(world.submit(read));
    const TimePoint deadline = world->now() + 3h;
    EXPECT_TRUE(world.wait(deadline).empty());
    EXPECT_EQ(world->now(), deadline);
    world->cancel(read);
    EXPECT_EQ(world.finish(read), -ECANCELED);
}

TEST(Clock, a_wake_ends_one_wait_before_its_time) {
    World world;
    const TimePoint before = world->now();
    world->wake();
    world->wake();
    world.wait(before + 1h);
    EXPECT_EQ(world->now(), before) << "the wake came first";
    world.wait(before + 1h);
    EXPECT_EQ(world->now(), before + 1h) << "two rings are answered together";
}

TEST(Clock, a_wake_from_another_thread_ends_the_next_wait) {
    World world;
    const TimePoint before = world->now();
    std::thread([&] { world->wake(); }).join();
    world.wait(before + 1h);
    EXPECT_EQ(world->now(), before);
}

TEST(Clock, a_thousand_turns_without_a_rest_cost_nothing) {
    World world;
    const TimePoint before = world->now();
    for (int i = 0; i < 1000; ++i) world.look();
    EXPECT_EQ(world->now(), before);
}

TEST(Clock, a_program_that_spins_until_time_has_passed_comes_to_an_end) {
    World world;
    const TimePoint end = world->now() + 1ms;
    int turns = 0;
    while (world->now() < end && turns < 100'000) {
        world.look();
        ++turns;
    }
    EXPECT_GE(world->now(), end);
    // A rest sets the patience back, so only the one who never rests ages.
    world.wait(world->now() + 1s);
    const TimePoint rested = world->now();
    for (int i = 0; i < 1000; ++i) world.look();
    EXPECT_EQ(world->now(), rested);
}

TEST(Clock, the_end_of_time_can_be_waited_for) {
    for (std::uint64_t seed : {0, 1, 2, 3, 4, 5}) {
        World world(seed);
        while (world->now() < never - 1ns) world.wait(never - 1ns);
        const Pipe pipe = world.pipe();
        EXPECT_EQ(world.write(pipe.write_end, "still here"), 10);
    }
}

}  // namespace
}  // namespace simulation
