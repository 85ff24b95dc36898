// Goal: a wait that could never end is reported, and no other wait is.
// Method: waits without a deadline in worlds that are silent, awake, busy, or open to the outside.

#include "simulation/world.h"

#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace simulation {
namespace {

using namespace std::chrono_literals;

/// Waits without a deadline until something is reported or the world says that nothing ever will
/// be.
std::vector<Operation*> wait_for_anything(World& world) {
    std::vector<Operation*> reported;
    do reported = world.wait(never);
    while (reported.empty() && !world.deadlocked());
    return reported;
}

TEST(Deadlock, waiting_for_ever_for_nothing_is_one) {
    World world;
    const TimePoint before = world->now();
    EXPECT_TRUE(world.wait(never).empty());
    EXPECT_TRUE(world.deadlocked());
    EXPECT_EQ(world->now(), before);
}

TEST(Deadlock, every_seed_reports_it_in_the_end) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        World world(seed);
        wait_for_anything(world);
        EXPECT_TRUE(world.deadlocked()) << "seed " << seed;
    }
}

TEST(Deadlock, operations_on_silent_pipes_cannot_prevent_it_and_survive_it) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        char byte = 0;
        Read read(pipe.read_end, &byte, 1);
        Poll poll(pipe.read_end, POLLIN);
        ASSERT_FALSE(world.submit(read));
        ASSERT_FALSE(world.submit(poll));
        EXPECT_TRUE(wait_for_anything(world).empty());
        ASSERT_TRUE(world.deadlocked());
        ASSERT_TRUE(in_flight(read) && in_flight(poll));

        world.write(pipe.write_end, "ab");
        EXPECT_EQ(world.finish(read), 1);
        EXPECT_EQ(world.finish(poll), POLLIN);
        EXPECT_EQ(byte, 'a');
    }
}

TEST(Deadlock, a_wake_that_is_pending_is_none) {
    World world;
    world->wake();
    world.wait(never);
    EXPECT_FALSE(world.deadlocked());
    world.wait(never);
    EXPECT_TRUE(world.deadlocked());
}

TEST(Deadlock, an_operation_the_plan_puts_off_is_none) {
    int put_off = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        World world(seed);
        std::array<int, 2> ends{};
        MakePipe request(ends);
        if (world.submit(request)) continue;
        ++put_off;
        wait_for_anything(world);
        EXPECT_FALSE(world.deadlocked()) << "seed " << seed;
        EXPECT_TRUE(finished(request));
    }
    EXPECT_GT(put_off, 10) << "the seeds did not show the case";
}

TEST(Deadlock, a_real_operation_in_flight_is_none_because_a_thread_may_wake_the_world) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    World world;
    char byte = 0;
    Read read(ends[0], &byte, 1);
    ASSERT_FALSE(world.submit(read));
    std::thread waker([&] { world->wake(); });
    EXPECT_TRUE(world.wait(never).empty());
    EXPECT_FALSE(world.deadlocked());
    waker.join();

    world->cancel(read);
    EXPECT_EQ(world.finish(read), -ECANCELED);
    world.look();  // The thread may have rung only after the wait ended for another reason.
    world.wait(never);
    EXPECT_TRUE(world.deadlocked()) << "the world is alone again";
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace
}  // namespace simulation
