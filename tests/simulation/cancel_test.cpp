// Goal: a cancelled operation is reported exactly once, with what it achieved or −ECANCELED, and
// nothing achieved is lost. Method: cancellations at each stage of an operation's life, in the
// plain world and over many seeds.

#include "simulation/world.h"

#include <algorithm>

#include <poll.h>

namespace simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t cancel_seeds = 200;

TEST(Cancel, a_waiting_operation_is_given_back_by_the_next_wait_and_not_before) {
    World world;
    char byte = 0;
    Read read(world.pipe().read_end, &byte, 1);
    world.submit(read);
    world->cancel(read);
    EXPECT_TRUE(in_flight(read)) << "asking is not answering";
    EXPECT_EQ(world.look(), std::vector<Operation*>{&read});
    EXPECT_EQ(read.result, -ECANCELED);
    EXPECT_TRUE(world.look().empty()) << "reported once";
}

TEST(Cancel, asking_twice_is_answered_once) {
    for (std::uint64_t seed = 0; seed < cancel_seeds; ++seed) {
        World world(seed);
        char byte = 0;
        Read read(world.pipe().read_end, &byte, 1);
        ASSERT_FALSE(world.submit(read));
        world->cancel(read);
        world->cancel(read);
        int reports = 0;
        do reports += static_cast<int>(world.wait(never).size());
        while (!world.deadlocked());
        EXPECT_EQ(reports, 1) << "seed " << seed;
        EXPECT_EQ(read.result, -ECANCELED);
    }
}

TEST(Cancel, asking_again_and_again_does_not_put_off_the_answer) {
    for (std::uint64_t seed = 1; seed <= cancel_seeds; ++seed) {
        World world(seed);
        char byte = 0;
        Read read(world.pipe().read_end, &byte, 1);
        ASSERT_FALSE(world.submit(read));
        const TimePoint asked = world->now();
        while (in_flight(read)) {
            world->cancel(read);
            world.wait(world->now() + 1us);
        }
        EXPECT_LE(world->now() - asked, 101us) << "seed " << seed;
    }
}

TEST(Cancel, every_kind_that_waits_can_be_cancelled) {
    World world;
    const Pipe pipe = world.pipe();
    char byte = 0;
    Read read(pipe.read_end, &byte, 1);
    Poll poll(pipe.read_end, POLLIN);
    Pipe full = world.pipe();
    world.write(full.write_end, std::string(65536, 'x'));
    Write write(full.write_end, "y", 1);
    for (Operation* operation : {static_cast<Operation*>(&read), static_cast<Operation*>(&poll),
                                 static_cast<Operation*>(&write)}) {
        ASSERT_FALSE(world.submit(*operation));
        world->cancel(*operation);
    }
    EXPECT_EQ(world.look().size(), 3u);
    EXPECT_EQ(read.result, -ECANCELED);
    EXPECT_EQ(poll.result, -ECANCELED);
    EXPECT_EQ(write.result, -ECANCELED);
}

TEST(Cancel, an_operation_can_be_submitted_again_after_it_was_cancelled) {
    World world;
    const Pipe pipe = world.pipe();
    char byte = 0;
    Read read(pipe.read_end, &byte, 1);
    world.submit(read);
    world->cancel(read);
    ASSERT_EQ(world.finish(read), -ECANCELED);
    ASSERT_FALSE(world.submit(read));
    world.write(pipe.write_end, "x");
    EXPECT_EQ(world.finish(read), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(Cancel, a_read_cancelled_in_the_step_in_which_data_came_has_it_or_leaves_it) {
    int had_it = 0;
    for (std::uint64_t seed = 0; seed < cancel_seeds; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        std::string bytes(10, '?');
        Read read(pipe.read_end, bytes.data(), bytes.size());
        ASSERT_FALSE(world.submit(read));
        Write write(pipe.write_end, "abc", 3);
        world.submit(write);
        world->cancel(read);
        world.finish(read);
        ASSERT_EQ(world.finish(write), 3);
        world.close(pipe.write_end);

        std::string all;
        if (read.result >= 0) {
            ++had_it;
            ASSERT_NE(read.result, 0);
            all = bytes.substr(0, static_cast<std::size_t>(read.result));
        } else {
            ASSERT_EQ(read.result, -ECANCELED);
            ASSERT_EQ(bytes, "??????????") << "a read that failed has touched nothing";
        }
        while (true) {
            const std::string more = world.read(pipe.read_end, 10);
            if (more.empty()) break;
            all += more;
        }
        ASSERT_EQ(all, "abc") << "seed " << seed;
        ASSERT_TRUE(seed != 0 || read.result == -ECANCELED) << "the plain world";
    }
    EXPECT_GT(had_it, 20);
    EXPECT_LT(had_it, static_cast<int>(cancel_seeds) - 20);
}

TEST(Cancel, a_write_put_off_by_the_plan_is_written_or_not_as_its_result_says) {
    int written = 0;
    int cancelled = 0;
    for (std::uint64_t seed = 1; seed <= cancel_seeds; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        Write write(pipe.write_end, "abc", 3);
        if (world.submit(write)) continue;
        world->cancel(write);
        const int result = world.finish(write);
        world.close(pipe.write_end);
        std::string arrived;
        for (std::string more = world.read(pipe.read_end, 10); !more.empty();
             more = world.read(pipe.read_end, 10)) {
            arrived += more;
        }
        (result == 3 ? written : cancelled) += 1;
        ASSERT_EQ(arrived, result == 3 ? "abc" : "") << "seed " << seed;
        ASSERT_TRUE(result == 3 || result == -ECANCELED) << result;
    }
    EXPECT_GT(written, 10);
    EXPECT_GT(cancelled, 10);
}

TEST(Cancel, the_answer_may_take_its_time) {
    int late = 0;
    for (std::uint64_t seed = 1; seed <= cancel_seeds; ++seed) {
        World world(seed);
        char byte = 0;
        Read read(world.pipe().read_end, &byte, 1);
        ASSERT_FALSE(world.submit(read));
        const TimePoint asked = world->now();
        world->cancel(read);
        EXPECT_EQ(world.finish(read), -ECANCELED);
        if (world->now() > asked) ++late;
        EXPECT_LE(world->now() - asked, 100us);
    }
    EXPECT_GT(late, 10);
}

TEST(Cancel, what_is_done_and_not_yet_reported_keeps_its_result) {
    World world;
    const Pipe pipe = world.pipe();
    char bytes[2] = {};
    // The first read is cancelled before the wait that would have served it: the byte goes to the
    // second.
    Read first(pipe.read_end, &bytes[0], 1);
    Read second(pipe.read_end, &bytes[1], 1);
    world.submit(first);
    world.submit(second);
    world.write(pipe.write_end, "x");
    world->cancel(first);
    EXPECT_EQ(world.look().size(), 2u);
    EXPECT_EQ(first.result, -ECANCELED);
    EXPECT_EQ(second.result, 1);
    EXPECT_EQ(bytes[1], 'x');
}

TEST(Cancel, a_cancelled_close_closes_all_the_same) {
    int put_off = 0;
    for (std::uint64_t seed = 1; seed <= cancel_seeds; ++seed) {
        World world(seed);
        const Pipe pipe = world.pipe();
        Close close(pipe.write_end);
        if (!world.submit(close)) {
            ++put_off;
            world->cancel(close);
        }
        EXPECT_EQ(world.finish(close), 0);
        EXPECT_EQ(world.read(pipe.read_end, 1), "") << "the other end sees the end, seed " << seed;
        EXPECT_EQ(world.close(pipe.write_end), -EBADF);
    }
    EXPECT_GT(put_off, 20);
}

TEST(Cancel, a_cancelled_pipe_exists_or_does_not) {
    int made = 0;
    int cancelled = 0;
    for (std::uint64_t seed = 1; seed <= cancel_seeds; ++seed) {
        World world(seed);
        std::array<int, 2> ends{-1, -1};
        MakePipe request(ends);
        if (world.submit(request)) continue;
        world->cancel(request);
        if (world.finish(request) == 0) {
            ++made;
            EXPECT_EQ(world.write(ends[1], "x"), 1);
        } else {
            ++cancelled;
            EXPECT_EQ(request.result, -ECANCELED);
            EXPECT_EQ(ends[0], -1);
        }
    }
    EXPECT_GT(made, 10);
    EXPECT_GT(cancelled, 10);
}

}  // namespace
}  // namespace simulation
