// Goal: whatever the plan chooses, every operation is reported exactly once and no byte is lost,
// doubled or out of order; and ten thousand operations are nothing special. Method: the storm under
// many seeds; then crowds of operations on many pipes and on one.

#include "simulation/storm.h"

#include <algorithm>
#include <set>

namespace simulation {
namespace {

TEST(Storm, keeps_its_books_in_the_plain_world) {
    Storm storm(0, 1, {.operations = 10'000});
    storm.run();
    EXPECT_GT(storm.reported, 500);
    EXPECT_GT(storm.cancelled, 100);
    EXPECT_GT(storm.bytes_read, 1'000'000);
}

TEST(Storm, keeps_its_books_under_two_hundred_seeds) {
    int cancelled = 0;
    int succeeded = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Storm storm(seed, seed, {.operations = 400});
        storm.run();
        cancelled += storm.cancelled;
        succeeded += storm.succeeded_though_cancelled;
        ASSERT_FALSE(HasFailure());
    }
    EXPECT_GT(succeeded, 50) << "cancelled operations that succeeded all the same";
    EXPECT_GT(cancelled, 2 * succeeded);
}

TEST(Crowd, ten_thousand_pipes_are_read_at_once) {
    constexpr std::size_t crowd = 10'000;
    for (std::uint64_t seed : {0, 1, 2, 3}) {
        World world(seed);
        std::vector<Pipe> pipes(crowd);
        std::vector<char> bytes(crowd);
        std::vector<std::unique_ptr<Read>> reads;
        for (std::size_t i = 0; i < crowd; ++i) {
            pipes[i] = world.pipe();
            reads.push_back(std::make_unique<Read>(pipes[i].read_end, &bytes[i], 1));
            ASSERT_FALSE(world.submit(*reads[i]));
        }
        std::set<Operation*> reported;
        const auto collect = [&](const std::vector<Operation*>& some) {
            for (Operation* operation : some) EXPECT_TRUE(reported.insert(operation).second);
        };
        std::vector<std::unique_ptr<Write>> writes;
        std::size_t expected = crowd;
        for (const Pipe& pipe : pipes) {
            writes.push_back(std::make_unique<Write>(pipe.write_end, "x", 1));
            if (!world.submit(*writes.back())) ++expected;
        }
        while (reported.size() < expected && !world.deadlocked()) collect(world.wait(never));
        EXPECT_EQ(reported.size(), expected) << "seed " << seed;
        EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 'x'), static_cast<long>(crowd));
    }
}

TEST(Crowd, ten_thousand_readers_share_one_pipe_and_can_all_be_cancelled) {
    constexpr std::size_t crowd = 10'000;
    for (std::uint64_t seed : {0, 5, 6}) {
        World world(seed);
        const Pipe pipe = world.pipe();
        std::vector<char> bytes(crowd);
        std::vector<std::unique_ptr<Read>> reads;
        for (std::size_t i = 0; i < crowd; ++i) {
            reads.push_back(std::make_unique<Read>(pipe.read_end, &bytes[i], 1));
            ASSERT_FALSE(world.submit(*reads[i]));
        }
        ASSERT_EQ(world.write(pipe.write_end, std::string(4000, 'x')), 4000);
        for (auto& read : reads) {
            if (in_flight(*read)) world->cancel(*read);
        }
        while (
            !std::all_of(reads.begin(), reads.end(), [](auto& read) { return finished(*read); })) {
            ASSERT_FALSE(world.deadlocked());
            world.wait(never);
        }
        // Each byte went to one reader, or stays for the next.
        const auto served =
            std::count_if(reads.begin(), reads.end(), [](auto& read) { return read->result == 1; });
        EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 'x'), served);
        world.close(pipe.write_end);
        std::size_t left = 0;
        for (std::string some = world.read(pipe.read_end, 5000); !some.empty();
             some = world.read(pipe.read_end, 5000)) {
            left += some.size();
        }
        EXPECT_EQ(static_cast<std::size_t>(served) + left, 4000u) << "seed " << seed;
    }
}

}  // namespace
}  // namespace simulation
